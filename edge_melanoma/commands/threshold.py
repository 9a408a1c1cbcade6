"""edge-melanoma threshold: an operating point for a recall target, on validation."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edge_melanoma.commands.options import JsonFile

NAME = "threshold"


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    min_recall: Annotated[
        float, typer.Option("--min-recall", help="The validation recall to reach.")
    ] = 0.95,
    json: JsonFile = None,
) -> None:
    """The highest threshold that reaches a recall on the run's validation side.

    Changes nothing in the run: give the threshold to evaluate with --threshold, or train with
    --min-recall.
    """
    from edge_melanoma.artifacts import write_json
    from edge_melanoma.bundled import find_run_or_bundled
    from edge_melanoma.predictions import read_predictions
    from edge_melanoma.thresholds import choose_operating_point

    model = find_run_or_bundled(run)
    validation = read_predictions(model.folder / "predictions_validation.csv")
    point = choose_operating_point(validation, min_recall=min_recall)
    low, high = point.recall_interval
    typer.echo(
        f"threshold {point.threshold:.6f}: recall {point.recall:.4f} (95 % interval {low:.4f} .. "
        f"{high:.4f}), specificity {point.specificity:.4f}, on {point.malignant} malignant and "
        f"{point.benign} benign validation images of {model.manifest['dataset']['name']}"
    )
    if json is not None:
        write_json(json, {"schema": 1, "operating_point": asdict(point)})
