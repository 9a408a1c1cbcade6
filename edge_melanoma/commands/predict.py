"""edge-melanoma predict: P(malignant) and the decision for pictures."""

from pathlib import Path
from typing import Annotated

import typer

from edge_melanoma.commands.options import InterpreterOption

NAME = "predict"


def command(
    model: Annotated[
        Path,
        typer.Argument(metavar="MODEL", help="A .tflite file, a run folder, or the word bundled."),
    ],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="JPEG or PNG files.")],
    interpreter: InterpreterOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Score pictures; the decision is made at the model's operating point. Research only."""
    from edge_melanoma.commands.prediction_run import predict_images

    predict_images(model, images, interpreter=interpreter, as_json=json)
