"""edge-melanoma doctor: what is installed, what runs, what is missing and how to get it."""

from typing import Annotated

import typer

NAME = "doctor"


def command(
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Look at packages, interpreters, kernels, cores and memory."""
    from edge_melanoma.commands.examination import examine

    examine(as_json=json)
