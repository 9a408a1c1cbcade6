"""The model card as Markdown: `card.md.j2` filled with what a run holds.

Each part names the items of the checklist CLAIM that it answers; `claim.toml` lists them.
Every value is escaped when it is filled in, unless the template calls it safe.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from edge_melanoma.card.failures import Failure
from edge_melanoma.card.judged_sets import JudgedSet
from edge_melanoma.card.subgroups import FEWEST, SubgroupTable, describe_findings, rows_of_table
from edge_melanoma.card.traits import SKIN_TONE, SkinTone
from edge_melanoma.evaluation.evaluation import WITHOUT_LEAKED
from edge_melanoma.machine.markdown import share_of, table_of, template_environment, text_of
from edge_melanoma.runs.models import TrainedModel

FOLDER = Path(__file__).parent
NAMED_WEIGHTS = ("imagenet", "none", "bundled", "teacher")
SIDES = ("train", "validation", "test", WITHOUT_LEAKED)
DARKER_TONES = (SkinTone.TAN, SkinTone.BROWN, SkinTone.DARK)

CLAIM = tomllib.loads((FOLDER / "claim.toml").read_text(encoding="utf-8"))
ITEMS_2020 = range(1, CLAIM["edition_2020"] + 1)
ITEMS_2024 = {int(number): name for number, name in CLAIM["edition_2024"].items()}
UNANSWERED = {int(number): reason for number, reason in CLAIM["unanswered"].items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """A run's manifest, evaluation and split, and what was made of it.

    `exports` are the manifests of the .tflite files by file name, `parity` is bench/parity.json
    where there is one, `parameters` the number of the network's weights. `judged` are the sets
    whose pictures are still there, the run's own test side first.
    """

    run: TrainedModel
    evaluation: Mapping[str, Any]
    split: Mapping[str, Any]
    parameters: int
    judged: tuple[JudgedSet, ...]
    exports: Mapping[str, Mapping[str, Any]]
    parity: Mapping[str, Any] | None


def render_card(facts: CardFacts) -> str:
    """The whole card; the same run gives the same card."""
    dataset, sides = facts.evaluation["dataset"], facts.evaluation["sides"]
    external = facts.evaluation["external"]
    own_cards = dict(dataset.get("cards") or {dataset["name"]: dataset.get("card")})
    outside = {f"{name} (outside)": one["dataset"].get("card") for name, one in external.items()}
    weights = str(facts.run.manifest["settings"]["weights"])
    answered: dict[str, Sequence[int]] = {}

    def heading(title: str, *, claim_2024: Sequence[int], claim_2020: Sequence[int]) -> Markup:
        answered[title] = claim_2024
        return Markup(f"## {title}\n\n{name_items(claim_2024, claim_2020)}")

    template = _environment().get_template("card.md.j2")
    return template.render(
        facts=facts,
        sides={side: sides[side] for side in SIDES if side in sides},
        external=external,
        own_cards=own_cards,
        cards=own_cards | outside,
        # The folder of a file may name a person.
        starting_weights=weights if weights in NAMED_WEIGHTS else f"the file {Path(weights).name}",
        heading=heading,
        checklist=lambda: list_items(answered),
    )


def name_items(items_2024: Sequence[int], items_2020: Sequence[int]) -> str:
    """The line below a heading.

    Raises:
        ValueError: a number that the checklist has not got.
    """
    if not ITEMS_2024.keys() >= set(items_2024) or not set(ITEMS_2020) >= set(items_2020):
        raise ValueError(f"CLAIM has no such items: {items_2024} of 2024, {items_2020} of 2020.")
    parts = [
        f"CLAIM {year} {'item' if len(items) == 1 else 'items'} {', '.join(map(str, items))}"
        for year, items in ((2024, items_2024), (2020, items_2020))
        if items
    ]
    return f"*{'; '.join(parts)}*"


def list_items(answered: Mapping[str, Sequence[int]]) -> Iterator[tuple[int, str, str]]:
    """Number, name and place of every item of 2024; `answered` are the items of each heading."""
    for number, name in ITEMS_2024.items():
        places = [title for title, items in answered.items() if number in items]
        reason = UNANSWERED.get(number, "the run does not hold it")
        yield number, name, "; ".join(places) or f"not answered: {reason}"


def _environment() -> Environment:
    environment = template_environment(
        FOLDER,
        autoescape=True,
        # For Markdown, before Jinja would do it for HTML.
        finalize=lambda value: value if isinstance(value, Markup) else Markup(text_of(value)),
        keep_trailing_newline=True,
    )
    environment.globals |= {
        "share_of": share_of,
        "subgroup_table": _subgroup_table,
        "describe_findings": describe_findings,
        "darker_skin": _darker_skin,
        "failures": tuple(Failure),
        "fewest": FEWEST,
    }
    return environment


def _subgroup_table(table: SubgroupTable) -> Markup:
    header, *rows = rows_of_table(table)
    return Markup("\n".join(table_of(header, [list(map(text_of, row)) for row in rows])))


def _darker_skin(table: SubgroupTable) -> dict[str, int]:
    """How many pictures show tan, brown or dark skin, and how many of those are malignant."""
    darker = [g for g in table.groups if g.attribute == SKIN_TONE and g.value in DARKER_TONES]
    malignant = sum(group.recall.images for group in darker)
    benign = sum(group.specificity.images for group in darker)
    return {"images": malignant + benign, "malignant": malignant}
