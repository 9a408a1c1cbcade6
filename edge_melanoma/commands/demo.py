"""edge-melanoma demo: everything once, on generated pictures, offline."""

from pathlib import Path
from typing import Annotated

import typer

from edge_melanoma.commands.options import Seed

NAME = "demo"


def command(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="A new or empty folder for all of it.")
    ] = Path("demo"),
    count: Annotated[int, typer.Option("--count", min=60, help="Generated pictures.")] = 600,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            metavar="imagenet|none|PATH",
            help="Without it: the ImageNet weights if Keras has them on this machine, else none.",
        ),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Draw lesion pictures, train on them, export int8 and prove parity, in minutes.

    The figures are about drawings: they show that the tool works, and nothing about patients.
    """
    from edge_melanoma.commands.demonstration import demonstrate

    demonstrate(out, count=count, weights=weights, seed=seed)
