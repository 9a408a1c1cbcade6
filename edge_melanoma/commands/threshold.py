"""edge-melanoma threshold: an operating point for a recall target, on validation."""

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
    save: Annotated[
        bool,
        typer.Option(
            "--save", help="Put each export's point into its manifest, in place of the one there."
        ),
    ] = False,
    json: JsonFile = None,
) -> None:
    """The highest threshold that reaches a recall on the run's validation side, model by model.

    That of an export is chosen on the file's own scores and fits the steps of its output: malignant
    is what gives at least the integer. An export that has no point yet gets one at the run's recall
    target; a point that is there is replaced with --save only.
    """
    from edge_melanoma.commands.threshold_run import choose_thresholds

    choose_thresholds(run, min_recall=min_recall, save=save, json=json)
