"""edge-melanoma threshold and calibrate: where a run decides, and scores as probabilities."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.markup import escape
from rich.table import Table
from typer import Option

from edge_melanoma.commands.options import Force, JsonFile, MinRecall, RunFolder
from edge_melanoma.machine.files import write_result
from edge_melanoma.machine.terminal import TerminalReporter, print_table, results_console

if TYPE_CHECKING:
    from edge_melanoma.runs.models import TrainedModel

COLUMNS = ("model", "recall", "95 % interval", "specificity", "threshold", "integer")


def command(
    run: RunFolder = None,
    min_recall: MinRecall = None,
    save: Annotated[
        bool,
        Option(
            "--save", help="Put each export's point into its manifest, in place of the one there."
        ),
    ] = False,
    json: JsonFile = None,
) -> None:
    """The highest threshold that misses few enough on the run's validation side, model by model.

    Where the set has several clinics, the worst one decides, by its melanomas alone.

    That of an export is chosen on the file's own scores and fits the steps of its output: malignant
    is what gives at least the integer. An export that has no point yet gets one at the run's recall
    target; a point that is there is replaced with --save only.
    """
    from edge_melanoma.runs.bundled import bundled_run, find_run_or_bundled, is_bundled
    from edge_melanoma.runs.folders import refuse_unwritable

    refuse_unwritable(json)
    found = bundled_run() if is_bundled(run) and not save else find_run_or_bundled(run)
    result = _choose_points(found, min_recall=min_recall, save=save)
    if not write_result(json, result):
        _show(result)


def calibrate(
    run: RunFolder = None,
    out: Annotated[
        Path | None,
        Option(metavar="DIR", help="The new run folder; runs/<variant>-<n> if not given."),
    ] = None,
    force: Force = False,
) -> None:
    """Write a run again whose last layer is scaled so that validation scores are probabilities.

    What `train --variant best` does at its end, for other recipes. The order of the scores stays,
    the operating point is chosen anew; export and bench the new run afterwards.
    """
    from edge_melanoma.training.record import calibrate_run

    calibrate_run(run, out=out, force=force)


def _choose_points(run: "TrainedModel", *, min_recall: float | None, save: bool) -> dict[str, Any]:
    """The content of `threshold --json`."""
    from edge_melanoma.converters import export
    from edge_melanoma.evaluation.predictions import read_predictions
    from edge_melanoma.evaluation.thresholds import choose_operating_point, describe_rule
    from edge_melanoma.runs.models import open_converted, open_exports

    validation = read_predictions(run.folder / "predictions_validation.csv")
    point = asdict(choose_operating_point(validation, min_recall=min_recall))
    scores, exports = export.ValidationScores(run, TerminalReporter()), []
    for model in open_exports(run):
        export.complete_operating_point(run, model, scores)
        found = scores.of(open_converted(model.path))
        if found is None:
            continue
        own = export.derive_operating_point(model, found, min_recall=min_recall)
        if save:
            export.save_operating_point(run, model, own)
        told = {"mode": model.mode, "file": model.path.name, "operating_point": own.as_dict()}
        exports.append(told)
    return {
        "schema": 1,
        "dataset": {
            "name": run.manifest["dataset"]["name"],
            "side": "validation",
            "images": len(validation.labels),
            "benign": point["benign"],
            "malignant": point["malignant"],
        },
        "operating_point": point,
        "rule": describe_rule(point),
        "exports": exports,
    }


def _show(result: Mapping[str, Any]) -> None:
    data, point = result["dataset"], result["operating_point"]
    title = (
        f"Rule: {result['rule']}; {data['name']}, validation side: "
        f"{data['images']} images, {data['malignant']} malignant"
    )
    caption = "Malignant: output >= integer. Research only, not a medical device."
    table = Table(title=escape(title), caption=caption)
    for number, column in enumerate(COLUMNS):
        table.add_column(column, justify="right" if number else "left")
    for export in ({"mode": "keras", "operating_point": point}, *result["exports"]):
        own = export["operating_point"]
        table.add_row(export["mode"], *_cells(own))
        for source, found in own["within"].items():
            decides = ", which decides" if source == own["deciding"] else ""
            table.add_row(f"  {escape(source)}{decides}", *_cells({**own, **found})[:3])
    print_table(results_console(width=130), table)


def _cells(point: Mapping[str, Any]) -> list[str]:
    low, high = point["recall_interval"]
    integer = point.get("integer")
    return [
        f"{point['recall']:.4f}",
        f"{low:.4f} .. {high:.4f}",
        f"{point['specificity']:.4f}",
        f"{point['threshold']:.6f}",
        "" if integer is None else f"{integer}",
    ]
