"""How long `bench` times each model: its options, and the settings that they make."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from edge_melanoma.errors import EdgeMelanomaError

if TYPE_CHECKING:
    from edge_melanoma.benchmarks.timing.in_turn import TimingSettings

Runs = Annotated[int, typer.Option("--runs", min=2, help="Timed invocations a model, at least.")]
Warmup = Annotated[int, typer.Option("--warmup", min=0, help="Untimed ones before.")]
Threads = Annotated[
    list[str] | None,
    typer.Option(
        "--threads",
        metavar="N|all",
        help="For the timed ones, 1 if none is given; several: --threads 1,2,all.",
    ),
]
MinSeconds = Annotated[
    float, typer.Option("--min-seconds", min=0, help="Time each model at least so long.")
]
MaxSeconds = Annotated[
    float, typer.Option("--max-seconds", min=0.1, help="Stop so late, even before --runs.")
]
Mlperf = Annotated[
    bool,
    typer.Option(
        "--mlperf",
        help="As MLPerf's single stream: at least 1,024 runs and 60 seconds a model.",
    ),
]


def choose_timing(
    *,
    runs: int,
    warmup: int,
    threads: list[str] | None,
    seconds: tuple[float, float],
    mlperf: bool,
) -> "TimingSettings":
    """The settings that the options ask for; `seconds` are the least and the most.

    Raises:
        EdgeMelanomaError: a number of threads that is none, or the least is above the most.
    """
    from edge_melanoma.benchmarks.timing.in_turn import (
        MLPERF_QUERIES,
        MLPERF_SECONDS,
        TimingSettings,
    )

    least, most = seconds
    counts = parse_threads(threads or ["1"])
    if mlperf:
        return TimingSettings(
            runs=max(runs, MLPERF_QUERIES),
            warmup=warmup,
            threads=counts,
            min_seconds=max(least, MLPERF_SECONDS),
            max_seconds=float("inf"),
        )
    if least > most:
        raise EdgeMelanomaError(
            f"--min-seconds {least:g} is more than --max-seconds {most:g}; raise the latter."
        )
    return TimingSettings(
        runs=runs, warmup=warmup, threads=counts, min_seconds=least, max_seconds=most
    )


def parse_threads(words: list[str]) -> tuple[int, ...]:
    """Numbers of threads out of `1`, `1,2` or `all`, each once, in the order given.

    Raises:
        EdgeMelanomaError: a word that is neither `all` nor a whole number from 1 on.
    """
    counts = []
    for word in ",".join(words).split(","):
        if word.strip() == "all":
            counts.append(os.cpu_count() or 1)
        elif word.strip().isascii() and word.strip().isdigit() and int(word) > 0:
            counts.append(int(word))
        else:
            raise EdgeMelanomaError(
                f"--threads got '{word}'; expected whole numbers from 1 on, or all, as in "
                f"--threads 1,2,all."
            )
    return tuple(dict.fromkeys(counts))
