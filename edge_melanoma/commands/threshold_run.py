"""What `threshold` does: an operating point of the trained network and of each of its exports."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from edge_melanoma.converters.operating_points import (
    ValidationScores,
    complete_operating_point,
    derive_operating_point,
    save_operating_point,
)
from edge_melanoma.evaluation.predictions import read_predictions
from edge_melanoma.evaluation.thresholds import choose_operating_point
from edge_melanoma.machine.files import write_json
from edge_melanoma.machine.terminal import TerminalReporter, results_console
from edge_melanoma.runs.bundled import find_run_or_bundled
from edge_melanoma.runs.folders import refuse_unwritable
from edge_melanoma.runs.models import TrainedModel, open_converted, open_exports

COLUMNS = ("model", "recall", "95 % interval", "specificity", "threshold", "integer")


def choose_thresholds(
    folder: Path, *, min_recall: float, save: bool, json: Path | None
) -> dict[str, Any]:
    """Choose, print a row a model, and write JSON and manifests where it is asked for."""
    refuse_unwritable(json)
    run = find_run_or_bundled(folder)
    validation = read_predictions(run.folder / "predictions_validation.csv")
    point = asdict(choose_operating_point(validation, min_recall=min_recall))
    exports = _choose_for_exports(run, min_recall=min_recall, save=save)
    result = {
        "schema": 1,
        "dataset": {
            "name": run.manifest["dataset"]["name"],
            "side": "validation",
            "images": len(validation.labels),
            "benign": point["benign"],
            "malignant": point["malignant"],
        },
        "operating_point": point,
        "exports": exports,
    }
    _show(result)
    if json is not None:
        write_json(json, result)
    return result


def _choose_for_exports(
    run: TrainedModel, *, min_recall: float, save: bool
) -> list[dict[str, Any]]:
    scores, exports = ValidationScores(run, TerminalReporter()), []
    for model in open_exports(run):
        complete_operating_point(run, model, scores)
        found = scores.of(open_converted(model.path))
        if found is None:
            continue
        point = derive_operating_point(model, found, min_recall=min_recall)
        if save:
            save_operating_point(open_converted(model.path), point)
        exports.append(
            {"mode": model.mode, "file": model.path.name, "operating_point": point.as_dict()}
        )
    return exports


def _show(result: Mapping[str, Any]) -> None:
    data, point = result["dataset"], result["operating_point"]
    table = Table(
        title=escape(
            f"Recall of at least {point['min_recall']:g} on {data['name']}, validation side: "
            f"{data['images']} images, {data['malignant']} malignant"
        ),
        caption="Malignant: output >= integer. Research only, not a medical device.",
    )
    for number, column in enumerate(COLUMNS):
        table.add_column(column, justify="right" if number else "left")
    table.add_row("keras", *_cells(point))
    for export in result["exports"]:
        table.add_row(export["mode"], *_cells(export["operating_point"]))
    results_console(width=130).print(table)


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
