"""edge-melanoma evaluate: the metrics of a run or of any one .tflite file on data sets."""

from pathlib import Path
from typing import Annotated

import typer

from edge_melanoma.commands.options import ExternalSets, InterpreterOption, JsonFile, ShardChoice
from edge_melanoma.commands.shard_options import choose_part
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
    shard: ShardChoice = None,
    json: JsonFile = None,
) -> None:
    """Recall first, each metric with its 95 % interval and what it was measured on."""
    if shard is not None:
        part, file = choose_part(shard, json, {"--external": external})
        from edge_melanoma.evaluation.evaluation_part import evaluate_part

        evaluate_part(
            model,
            shard=part,
            json=file,
            data=data,
            threshold=threshold,
            interpreter=interpreter,
        )
        return
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
