"""edge-melanoma data: data sets themselves."""

from pathlib import Path
from typing import Annotated

import typer

from edge_melanoma.commands.options import JsonFile, Seed

app = typer.Typer(help="Data sets: checked, and generated.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command("check")
def check(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="One data set or several.")
    ],
    json: JsonFile = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page with the pictures too."),
    ] = None,
    fix_list: Annotated[
        Path | None,
        typer.Option(
            "--fix-list",
            metavar="FILE",
            help="Write which files to remove, one a line with the reason.",
        ),
    ] = None,
    cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Keep fingerprints for the next time.")
    ] = True,
) -> None:
    """Find unreadable files, copies, label conflicts, leaks and shortcuts; change nothing."""
    from edge_melanoma.commands.data_check_run import check_data

    check_data(folders, json=json, html=html, fix_list=fix_list, use_cache=cache)


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
    from edge_melanoma.data.phantoms import write_phantoms
    from edge_melanoma.runs.folders import refuse_unwritable

    refuse_unwritable(folder / "README.txt")
    paths = write_phantoms(folder, count=count, seed=seed, size=size)
    typer.echo(f"{len(paths)} generated pictures in {folder}")
