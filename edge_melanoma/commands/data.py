"""edge-melanoma data: data sets themselves."""

from pathlib import Path
from typing import Annotated

import typer

from edge_melanoma.commands.options import Seed

app = typer.Typer(help="Data sets: generated pictures.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command("phantoms")
def phantoms(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    count: Annotated[int, typer.Option("--count", help="Pictures, half of them malignant.")] = 600,
    seed: Seed = 0,
    size: Annotated[
        int | None,
        typer.Option("--size", help="Side in pixels; mostly 224 with some others if not given."),
    ] = None,
) -> None:
    """Write generated lesion pictures: no photographs, and no evidence about patients."""
    from edge_melanoma.phantoms import write_phantoms

    paths = write_phantoms(folder, count=count, seed=seed, size=size)
    typer.echo(f"{len(paths)} generated pictures in {folder}")
