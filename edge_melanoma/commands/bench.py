"""edge-melanoma bench: the trained network against every export, on the same pictures."""

from pathlib import Path
from typing import Annotated

import typer

from edge_melanoma.commands.options import ExternalSets, InterpreterOption, JsonFile, RunArgument
from edge_melanoma.data_sets import name_external_sets

NAME = "bench"
CONTRACT_NOT_MET = 1


def command(
    run: RunArgument = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Another data set than the run's test side."),
    ] = None,
    external: ExternalSets = None,
    contract: Annotated[
        Path | None,
        typer.Option(
            "--contract", metavar="FILE", help="Tolerances as TOML; the defaults if none."
        ),
    ] = None,
    runs: Annotated[int, typer.Option("--runs", min=2, help="Timed invocations a model.")] = 100,
    warmup: Annotated[int, typer.Option("--warmup", min=0, help="Untimed ones before.")] = 10,
    threads: Annotated[int, typer.Option("--threads", min=1, help="For the timed ones.")] = 1,
    interpreter: InterpreterOption = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=2, metavar="N", help="Only N pictures, spread over the set."),
    ] = None,
    json: JsonFile = None,
) -> None:
    """Score the same pictures with Keras and with every exported file, and time each model.

    Writes parity.json, parity.md and the scores into the run's bench folder, replacing those of an
    earlier bench of the same set. On external sets models are compared, not timed, and no contract
    holds. Exit code 1: a candidate does not keep the contract.
    """
    named = name_external_sets(external or ())
    from edge_melanoma.commands.measurement import TimingSettings
    from edge_melanoma.commands.parity_run import ParityOrder, run_parity

    report = run_parity(
        ParityOrder(
            run=run,
            data=data,
            external=named,
            contract=contract,
            timing=TimingSettings(runs=runs, warmup=warmup, threads=threads),
            interpreter=interpreter,
            limit=limit,
            json=json,
        )
    )
    if not report.passed:
        raise typer.Exit(CONTRACT_NOT_MET)
