"""edge-melanoma evaluate: the metrics of a run or of any one .tflite file on data sets."""

from pathlib import Path
from typing import Annotated

import typer

from edge_melanoma.commands.options import ExternalSets, InterpreterOption, JsonFile
from edge_melanoma.data.sets import name_external_sets

NAME = "evaluate"


def command(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="RUN_OR_MODEL", help="A run folder, a .tflite file, or the word bundled."
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help="Another data set (external validation); without it, the run's own test side.",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", min=0.0, max=1.0, help="Instead of the model's own."),
    ] = None,
    external: ExternalSets = None,
    interpreter: InterpreterOption = None,
    json: JsonFile = None,
) -> None:
    """Recall first, each metric with its 95 % interval and what it was measured on."""
    named = name_external_sets(external or ())
    from edge_melanoma.commands.evaluation_run import evaluate_model

    evaluate_model(
        model,
        data=data,
        external=named,
        threshold=threshold,
        interpreter=interpreter,
        json=json,
    )
