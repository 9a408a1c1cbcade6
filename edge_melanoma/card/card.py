"""What `card` does: look at the judged pictures again, measure, draw, and write it down."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from edge_melanoma.card.failures import SheetMaker
from edge_melanoma.card.judged_sets import JudgedSet, judge_run
from edge_melanoma.card.page import CardFacts, render_card
from edge_melanoma.card.subgroups import describe_findings, rows_of_table
from edge_melanoma.data.sets import refuse_training_sets
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.judged_pictures import learned_by_run, read_external_sets
from edge_melanoma.machine.files import read_json, write_atomically, write_json
from edge_melanoma.machine.terminal import Reporter, TerminalReporter, print_lines, results_console
from edge_melanoma.runs.folders import hold_run, refuse_unwritable
from edge_melanoma.runs.models import SPLIT, TrainedModel, open_run
from edge_melanoma.training.record import EVALUATION, record_files, score_external_sets

CARD, SUBGROUPS, FAILURES = "MODEL_CARD.md", "subgroups.json", "failures"


def make_card(
    folder: Path,
    *,
    out: Path | None = None,
    external: Mapping[str, Path],
    cases: int = 12,
    force: bool = False,
) -> Path:
    """Write the card, the subgroups and the sheets; print the tables and where the card is.

    Raises:
        EdgeMelanomaError: the run is not whole, its pictures are not those that were scored, or
            there is a card already and `force` is off.
    """
    run = open_run(folder)
    out = out or run.folder / CARD
    subgroups = run.folder / SUBGROUPS
    for path in (out, subgroups):
        if path.exists() and not force:
            raise EdgeMelanomaError(
                f"{path} exists; replace it with --force, or move it away first."
            )
    reporter = TerminalReporter()
    with hold_run(run.folder):
        refuse_unwritable(out, subgroups)
        if external:
            trained_on = run.manifest["dataset"]["folders"]
            refuse_training_sets(external, {name: Path(path) for name, path in trained_on.items()})
            found = read_external_sets(external, learned_by_run(run), reporter=reporter)
            score_external_sets(run, found, reporter=reporter)
            run = open_run(run.folder)  # its evaluation has these sets now
        facts = _gather(run, out, cases, reporter)
        write_json(subgroups, _subgroups_json(facts))
        write_atomically(out, render_card(facts))
        sheets = sorted((run.folder / FAILURES).rglob("*.png"))
        record_files(run, [subgroups, out, *sheets])
    for judged in facts.judged:
        _show(judged)
    print(out)
    return out


def _gather(run: TrainedModel, out: Path, cases: int, reporter: Reporter) -> CardFacts:
    from edge_melanoma.network.network import load_network

    network = load_network(run)
    evaluation = {"external": {}, **read_json(run.folder / EVALUATION)}
    sheets = SheetMaker(
        network=network,
        variant=run.variant,
        threshold=run.threshold,
        folder=run.folder / FAILURES,
        card=out,
        cases=cases,
    )
    return CardFacts(
        run=run,
        evaluation=evaluation,
        split=read_json(run.folder / SPLIT),
        parameters=int(network.count_params()),
        judged=tuple(judge_run(run, evaluation, sheets=sheets, reporter=reporter)),
        exports=dict(_read_exports(run)),
        parity=_read_parity(run),
    )


def _read_exports(run: TrainedModel) -> Iterator[tuple[str, dict[str, Any]]]:
    """The manifests of files that were made from these weights, float files first."""
    paths = sorted(run.exports_folder.glob("model_*.tflite"))
    for path in sorted(paths, key=lambda path: ("float" not in path.stem, path.stem)):
        manifest = path.with_suffix(".json")
        told = read_json(manifest) if manifest.is_file() else {}
        if told.get("source_sha256") == run.sha256:
            yield path.name, told


def _read_parity(run: TrainedModel) -> dict[str, Any] | None:
    """The run's parity.json, if it is of these weights."""
    path = run.folder / "bench" / "parity.json"
    parity = read_json(path) if path.is_file() else None
    return parity if parity and parity["reference"]["sha256"] == run.sha256 else None


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
    title = (
        f"{judged.name}: {data['images']} images, {data['malignant']} malignant; "
        f"threshold {judged.subgroups.threshold:.4f} from validation"
    )
    table = Table(*header, title=escape(title), caption="Research only, not a medical device.")
    for row in rows:
        table.add_row(*map(escape, row))
    console = results_console(width=160)
    console.print(table)
    print_lines(console, *describe_findings(judged.subgroups))
