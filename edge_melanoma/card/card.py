"""The model card of a run as Markdown: its sections, and where each CLAIM item is answered.

What `card` does: look at the judged pictures again, measure, draw, and write it down.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from edge_melanoma.card.claim import SOURCES, list_items, name_items
from edge_melanoma.card.facts import CardFacts, JudgedSet, Section
from edge_melanoma.card.judged_sets import Judge, judge_run
from edge_melanoma.card.sections import describe_limits, describe_method, describe_results
from edge_melanoma.card.subgroups import describe_findings, rows_of_table
from edge_melanoma.data.sets import refuse_training_sets
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.judged_pictures import learned_by_run, read_external_sets
from edge_melanoma.machine.files import read_json, write_atomically, write_json
from edge_melanoma.machine.markdown import table_of, text_of
from edge_melanoma.machine.terminal import Reporter, TerminalReporter, results_console
from edge_melanoma.runs.folders import hold_run, refuse_unwritable
from edge_melanoma.runs.models import SPLIT, TrainedModel, open_run
from edge_melanoma.training.record import EVALUATION, record_files, score_external_sets


def render_card(facts: CardFacts) -> str:
    """The whole card; the same run gives the same card."""
    sections = [*describe_method(facts), *describe_results(facts), *describe_limits(facts)]
    run = facts.run
    lines = [
        f"# Model card: {text_of(run.folder.resolve().name)} ({text_of(run.variant)})",
        "",
        "Research only. Not a medical device.",
        "",
        f"Filled from the run by edge-melanoma. {SOURCES}.",
    ]
    for section in sections:
        lines += ["", *_lines_of(section)]
    return "\n".join([*lines, "", *_checklist(sections), ""])


def _lines_of(section: Section) -> list[str]:
    items = name_items(section.claim_2024, section.claim_2020)
    return [f"## {section.title}", "", items, "", *section.lines]


def _checklist(sections: Sequence[Section]) -> list[str]:
    answered = {section.title: section.claim_2024 for section in sections}
    rows = [[str(number), name, place] for number, name, place in list_items(answered)]
    return ["## CLAIM 2024, item by item", "", *table_of(("item", "topic", "where"), rows)]


CARD, SUBGROUPS, FAILURES = "MODEL_CARD.md", "subgroups.json", "failures"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardOrder:
    """All that a person asked of `card`."""

    run: Path
    out: Path | None = None
    external: Mapping[str, Path] = field(default_factory=dict)
    cases: int = 12
    force: bool = False


def make_card(order: CardOrder) -> Path:
    """Write the card, the subgroups and the sheets; print the tables and where the card is."""
    reporter = TerminalReporter()
    run = open_run(order.run)
    out = order.out or run.folder / CARD
    _refuse_existing(order, out, run.folder / SUBGROUPS)
    with hold_run(run.folder):
        refuse_unwritable(out, run.folder / SUBGROUPS)
        return _make_held(order, run, out, reporter)


def _make_held(order: CardOrder, run: TrainedModel, out: Path, reporter: Reporter) -> Path:
    if order.external:
        trained_on = run.manifest["dataset"]["folders"]
        refuse_training_sets(order.external, {n: Path(f) for n, f in trained_on.items()})
        found = read_external_sets(order.external, learned_by_run(run), reporter=reporter)
        score_external_sets(run, found, reporter=reporter)
        run = open_run(order.run)
    from edge_melanoma.network.network import load_network

    network = load_network(run)
    judge = Judge(
        run=run,
        network=network,
        sheets=run.folder / FAILURES,
        card=out,
        cases=order.cases,
        reporter=reporter,
    )
    evaluation = read_json(run.folder / EVALUATION)
    judged = tuple(judge_run(judge, evaluation))
    facts = CardFacts(
        run=run,
        evaluation={"external": {}, **evaluation},
        split=read_json(run.folder / SPLIT),
        parameters=int(network.count_params()),
        judged=judged,
        exports=dict(_read_exports(run)),
        parity=_read_parity(run),
    )
    write_json(run.folder / SUBGROUPS, _subgroups_json(facts))
    write_atomically(out, render_card(facts))
    sheets = sorted((run.folder / FAILURES).rglob("*.png"))
    record_files(run, [run.folder / SUBGROUPS, out, *sheets])
    for one in judged:
        _show(one)
    print(out)
    return out


def _refuse_existing(order: CardOrder, *paths: Path) -> None:
    for path in paths:
        if path.exists() and not order.force:
            raise EdgeMelanomaError(
                f"{path} exists; replace it with --force, or move it away first."
            )


def _read_exports(run: TrainedModel) -> Iterator[tuple[str, dict[str, Any]]]:
    """The manifests of files that were made from these weights, float files first."""
    paths = sorted(run.exports_folder.glob("model_*.tflite"))
    for path in sorted(paths, key=lambda path: ("float" not in path.stem, path.stem)):
        manifest = path.with_suffix(".json")
        if manifest.is_file():
            told = read_json(manifest)
            if told.get("source_sha256") == run.sha256:
                yield path.name, told


def _read_parity(run: TrainedModel) -> dict[str, Any] | None:
    """The run's parity.json, if it is of these weights."""
    path = run.folder / "bench" / "parity.json"
    if not path.is_file():
        return None
    parity = read_json(path)
    return parity if parity["reference"]["sha256"] == run.sha256 else None


def _subgroups_json(facts: CardFacts) -> dict[str, Any]:
    run = facts.run
    return {
        "schema": 1,
        "model": {"run": run.folder.resolve().name, "variant": run.variant, "sha256": run.sha256},
        "threshold": run.threshold,
        "threshold_source": "validation",
        "sets": [judged.as_dict() for judged in facts.judged],
    }


def _show(judged: JudgedSet) -> None:
    header, *rows = rows_of_table(judged.subgroups)
    data = judged.dataset
    table = Table(
        title=escape(
            f"{judged.name}: {data['images']} images, {data['malignant']} malignant; "
            f"threshold {judged.subgroups.threshold:.4f} from validation"
        ),
        caption="Research only, not a medical device.",
    )
    for column in header:
        table.add_column(column)
    for row in rows:
        table.add_row(*map(escape, row))
    console = results_console(width=160)
    console.print(table)
    for line in describe_findings(judged.subgroups):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
