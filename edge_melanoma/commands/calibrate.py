"""edge-melanoma calibrate: a run whose scores are probabilities."""

from pathlib import Path
from typing import Annotated

from typer import Option

from edge_melanoma.commands.options import Force, RunFolder


def command(
    run: RunFolder,
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
