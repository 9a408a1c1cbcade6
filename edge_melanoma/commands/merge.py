"""edge-melanoma merge: the parts of an evaluation or a bench, made with --shard, as one whole."""

from pathlib import Path
from typing import Annotated

import typer

from edge_melanoma.commands.latency_options import Runs, Threads, Warmup
from edge_melanoma.commands.options import JsonFile

NAME = "merge"
CONTRACT_NOT_MET = 1


def command(
    parts: Annotated[
        list[Path], typer.Argument(metavar="PART...", help="All parts of one whole, in any order.")
    ],
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", metavar="RUN", help="Of parts of bench: their run; without it, the newest."
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Of parts of bench --data: that data set."),
    ] = None,
    contract: Annotated[
        Path | None,
        typer.Option(
            "--contract", metavar="FILE", help="Of parts of bench: limits, as bench takes them."
        ),
    ] = None,
    runs: Runs = 100,
    warmup: Warmup = 10,
    threads: Threads = None,
    json: JsonFile = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Of parts of bench: a copy of report.html."),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Of parts of bench: JUnit XML.")
    ] = None,
) -> None:
    """Put parts together and tell what the command without --shard tells.

    Of an evaluation nothing but the parts is needed. A bench is judged and written where its run
    is: scores come from the parts, times are taken here. Exit code 1: a candidate does not keep the
    contract.
    """
    from edge_melanoma.benchmarks.bench import ParityOrder
    from edge_melanoma.benchmarks.report.folder import BenchCopies
    from edge_melanoma.commands.latency_options import choose_timing
    from edge_melanoma.commands.merge_run import merge_files

    timing = choose_timing(
        runs=runs, warmup=warmup, threads=threads, seconds=(0.0, 30.0), mlperf=False
    )
    order = ParityOrder(
        run=run,
        data=data,
        contract=contract,
        timing=timing,
        copies=BenchCopies(json=json, html=html, junit=junit),
    )
    if not merge_files(parts, order):
        raise typer.Exit(CONTRACT_NOT_MET)
