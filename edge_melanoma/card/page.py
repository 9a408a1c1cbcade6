"""The model card as Markdown: `card.md.j2` filled with what a run holds.

Every value is escaped when it is filled in, unless the template calls it safe.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from edge_melanoma.card.claim import list_items, name_items
from edge_melanoma.card.failures import Failure
from edge_melanoma.card.judged_sets import JudgedSet
from edge_melanoma.card.skin_tone import SkinTone
from edge_melanoma.card.subgroups import FEWEST, SubgroupTable, describe_findings, rows_of_table
from edge_melanoma.card.traits import SKIN_TONE
from edge_melanoma.evaluation.evaluation import WITHOUT_LEAKED
from edge_melanoma.machine.markdown import share_of, table_of, template_environment, text_of
from edge_melanoma.runs.models import TrainedModel

TEMPLATE = "card.md.j2"
NAMED_WEIGHTS = ("imagenet", "none", "bundled", "teacher")
SIDES = ("train", "validation", "test", WITHOUT_LEAKED)
DARKER_TONES = (SkinTone.TAN, SkinTone.BROWN, SkinTone.DARK)

DataCard = Mapping[str, Any]
"""The card of a data set, as its dataset.toml has it."""


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
    manifest, sides = facts.run.manifest, facts.evaluation["sides"]
    own_cards = _cards_of(facts.evaluation["dataset"])
    external = facts.evaluation["external"]
    outside = {f"{name} (outside)": set_["dataset"].get("card") for name, set_ in external.items()}
    answered: dict[str, Sequence[int]] = {}

    def heading(title: str, *, claim_2024: Sequence[int], claim_2020: Sequence[int]) -> Markup:
        answered[title] = claim_2024
        return Markup(f"## {title}\n\n{name_items(claim_2024, claim_2020)}")

    return (
        _environment()
        .get_template(TEMPLATE)
        .render(
            run=facts.run,
            manifest=manifest,
            recipe=manifest["recipe"],
            settings=manifest["settings"],
            environment=manifest["environment"],
            teacher=manifest.get("teacher"),
            calibration=manifest.get("calibration"),
            starting_weights=_starting_weights(str(manifest["settings"]["weights"])),
            parameters=facts.parameters,
            sides={side: sides[side] for side in SIDES if side in sides},
            external=external,
            leaked_test=len(facts.split.get("leaked_test", ())),
            own_cards=own_cards,
            cards=own_cards | outside,
            judged=facts.judged,
            exports=facts.exports,
            parity=facts.parity,
            heading=heading,
            checklist=lambda: list_items(answered),
        )
    )


def _environment() -> Environment:
    environment = template_environment(
        Path(__file__).parent, autoescape=True, finalize=_escape, keep_trailing_newline=True
    )
    environment.globals |= {
        "share_of": share_of,
        "share_in": _share_in,
        "subgroup_table": _subgroup_table,
        "describe_findings": describe_findings,
        "darker_skin": _darker_skin,
        "failures": tuple(Failure),
        "fewest": FEWEST,
    }
    return environment


def _escape(value: object) -> Markup:
    """For Markdown, before Jinja would do it for HTML."""
    return value if isinstance(value, Markup) else Markup(text_of(value))


def _cards_of(dataset: Mapping[str, Any]) -> dict[str, DataCard | None]:
    """The data set cards in a dataset block, by the name of the set."""
    return dict(dataset.get("cards") or {dataset["name"]: dataset.get("card")})


def _starting_weights(weights: str) -> str:
    """Without the folder of a file, which may name a person."""
    return weights if weights in NAMED_WEIGHTS else f"the file {Path(weights).name}"


def _share_in(measured: Mapping[str, Any], name: str) -> str:
    return share_of(measured["metrics"][name], measured["intervals"].get(name))


def _subgroup_table(table: SubgroupTable) -> Markup:
    header, *rows = rows_of_table(table)
    cells = [[text_of(cell) for cell in row] for row in rows]
    return Markup("\n".join(table_of(header, cells)))


def _darker_skin(table: SubgroupTable) -> dict[str, int]:
    """How many pictures show tan, brown or dark skin, and how many of those are malignant."""
    tones = {group.value: group for group in table.groups if group.attribute == SKIN_TONE}
    darker = [tones[tone.value] for tone in DARKER_TONES if tone.value in tones]
    malignant = sum(group.recall.images for group in darker)
    benign = sum(group.specificity.images for group in darker)
    return {"images": malignant + benign, "malignant": malignant}
