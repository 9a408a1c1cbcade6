"""edge-melanoma bench: the trained network against every export, on the same pictures."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from edge_melanoma.commands.options import InterpreterOption, JsonFile, RunArgument

NAME = "bench"
CONTRACT_NOT_MET = 1
WRITE_CONTRACT, DEFAULT_CONTRACT = "--write-contract", "parity.toml"


class BenchCommand(TyperCommand):
    """`--write-contract` may stand without a file, which typer's options cannot."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give it its default where an option, a folder (the run) or nothing follows."""
        return super().parse_args(ctx, name_contract(args))


def name_contract(arguments: list[str]) -> list[str]:
    """The arguments with a file after `--write-contract`."""
    named = list(arguments)
    for place, word in enumerate(arguments):
        following = arguments[place + 1] if place + 1 < len(arguments) else "-"
        if word == WRITE_CONTRACT and (following.startswith("-") or Path(following).is_dir()):
            named[place] = f"{WRITE_CONTRACT}={DEFAULT_CONTRACT}"
    return named


def command(
    run: RunArgument = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Another data set than the run's test side."),
    ] = None,
    contract: Annotated[
        Path | None,
        typer.Option(
            "--contract",
            metavar="FILE",
            help="Limits as TOML; without it ./parity.toml, or the defaults if there is none.",
        ),
    ] = None,
    write_contract: Annotated[
        Path | None,
        typer.Option(
            WRITE_CONTRACT,
            metavar="[FILE]",
            help="Draft a contract that this run keeps; without FILE, as parity.toml.",
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
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="A copy of report.html.")
    ] = None,
    junit: Annotated[
        Path | None,
        typer.Option("--junit", metavar="FILE", help="JUnit XML, a test case a model and rule."),
    ] = None,
) -> None:
    """Score the same pictures with Keras and with every exported file, and time each model.

    Writes parity.json, parity.md, report.html and the scores into the run's bench folder, replacing
    those of an earlier bench of the same set. Exit code 1: a candidate does not keep the contract.
    """
    from edge_melanoma.commands.bench_folder import BenchCopies
    from edge_melanoma.commands.contract_choice import find_contract
    from edge_melanoma.commands.measurement import TimingSettings
    from edge_melanoma.commands.parity_run import ParityOrder, run_parity

    report = run_parity(
        ParityOrder(
            run=run,
            data=data,
            contract=contract or find_contract(),
            draft=write_contract,
            timing=TimingSettings(runs=runs, warmup=warmup, threads=threads),
            interpreter=interpreter,
            limit=limit,
            copies=BenchCopies(json=json, html=html, junit=junit),
        )
    )
    if not report.passed:
        raise typer.Exit(CONTRACT_NOT_MET)
