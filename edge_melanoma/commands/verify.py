"""edge-melanoma verify: the files of a run against the hashes that its manifests hold."""

from pathlib import Path
from typing import Annotated

import typer

NAME = "verify"
NOT_AS_RECORDED = 1


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or the word bundled.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Check weights, split, evaluation, exports and benches, and say what was changed or is gone.

    Exit code 1: a file was changed, is missing, or is of other weights. A file that no manifest
    knows is told and is no fault. A manifest itself is vouched for by nothing: keep its hash where
    it matters who wrote it.
    """
    from edge_melanoma.commands.verification_run import verify_and_show

    if not verify_and_show(run, as_json=json):
        raise typer.Exit(NOT_AS_RECORDED)
