"""edge-melanoma report: the page of a bench, made again from its files."""

from pathlib import Path
from typing import Annotated

import typer

from edge_melanoma.commands.options import RunArgument

NAME = "report"


def command(
    run: RunArgument = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="The bench of this set, not of the test side."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="The page; else bench/report.html of the run."),
    ] = None,
) -> None:
    """Write one self-contained HTML page of a run's bench, from what bench left there.

    Nothing is measured again: the page is that of the stored scores and figures.
    """
    from edge_melanoma.benchmarks.bench import bench_folder_of
    from edge_melanoma.benchmarks.report.folder import PAGE, render_stored
    from edge_melanoma.machine.files import write_atomically
    from edge_melanoma.runs.bundled import find_run_or_bundled
    from edge_melanoma.runs.folders import refuse_unwritable
    from edge_melanoma.runs.recorded_files import record_bench

    found = find_run_or_bundled(run)
    folder = bench_folder_of(found, data)
    path = out or folder / PAGE
    refuse_unwritable(path)
    write_atomically(path, render_stored(folder))
    if out is None:
        record_bench(folder, source_sha256=found.sha256)
    typer.echo(str(path))
