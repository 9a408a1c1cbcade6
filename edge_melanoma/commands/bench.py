"""edge-melanoma bench: the trained network against every export, on the same pictures."""

from pathlib import Path
from typing import Annotated

import typer

from edge_melanoma.commands.latency_options import (
    MaxSeconds,
    MinSeconds,
    Mlperf,
    Runs,
    Threads,
    Warmup,
)
from edge_melanoma.commands.options import InterpreterOption, JsonFile, RunArgument

NAME = "bench"
CONTRACT_NOT_MET = 1


def command(
    run: RunArgument = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Another data set than the run's test side."),
    ] = None,
    contract: Annotated[
        Path | None,
        typer.Option(
            "--contract", metavar="FILE", help="Tolerances as TOML; the defaults if none."
        ),
    ] = None,
    runs: Runs = 100,
    warmup: Warmup = 10,
    threads: Threads = None,
    min_seconds: MinSeconds = 0.0,
    max_seconds: MaxSeconds = 30.0,
    mlperf: Mlperf = False,
    interpreter: InterpreterOption = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=2, metavar="N", help="Only N pictures, spread over the set."),
    ] = None,
    json: JsonFile = None,
) -> None:
    """Score the same pictures with Keras and with every exported file, and time each model.

    Writes parity.json, parity.md and the scores into the run's bench folder, replacing those of an
    earlier bench of the same set. Exit code 1: a candidate does not keep the contract.
    """
    from edge_melanoma.commands.latency_options import choose_timing
    from edge_melanoma.commands.parity_run import ParityOrder, run_parity

    report = run_parity(
        ParityOrder(
            run=run,
            data=data,
            contract=contract,
            timing=choose_timing(
                runs=runs,
                warmup=warmup,
                threads=threads,
                seconds=(min_seconds, max_seconds),
                mlperf=mlperf,
            ),
            interpreter=interpreter,
            limit=limit,
            json=json,
        )
    )
    if not report.passed:
        raise typer.Exit(CONTRACT_NOT_MET)
