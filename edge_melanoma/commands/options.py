"""Options that several commands share, and the settings that these and those of `bench` make."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from edge_melanoma.benchmarks.settings import MLPERF_QUERIES, MLPERF_SECONDS, TimingSettings
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.ray import RayWorkers
from edge_melanoma.runtime.names import Engine, Runtime

RunArgument = Annotated[
    Path | None,
    Argument(
        metavar="[RUN]",
        help="A run folder, or the word bundled for the model in the package; without it, "
        "the newest below runs/.",
    ),
]
JsonFile = Annotated[Path | None, Option(metavar="FILE", help="Write the result as JSON too.")]
RunFolder = Annotated[Path, Argument(metavar="RUN", help="A run folder.")]
ExternalSets = Annotated[
    list[str] | None,
    Option(
        metavar="NAME=DIR",
        help="A data set from elsewhere to be measured on too, without copies of images that the "
        "run learned from. Repeat it for several.",
    ),
]
MinRecall = Annotated[
    float | None,
    Option(
        help="The validation recall to reach, in every clinic where there are several. Without it: "
        "0.95; of several clinics, 0.85 as the lower 95 % bound in each."
    ),
]
Force = Annotated[bool, Option("--force", help="Replace what is already there.")]
Seed = Annotated[int, Option(help="For everything that is drawn by chance.")]
Deterministic = Annotated[
    bool,
    Option(
        "--deterministic",
        help="The same bytes again on this machine, by TensorFlow's deterministic operators; "
        "recorded in the manifest. Another processor or number of threads gives others.",
    ),
]
InterpreterOption = Annotated[
    Runtime | None, Option(help="Which TFLite interpreter; without it, the first that runs here.")
]
EngineOption = Annotated[
    Engine, Option(help="ray: spread over --workers processes, of several machines with --address.")
]
WorkersOption = Annotated[
    int | None,
    Option(min=1, help="Processes that Ray starts; without it 2 for a training, else one a core."),
]
AddressOption = Annotated[
    str | None,
    Option(
        metavar="HOST:PORT",
        help="The head of a Ray cluster to join, or auto; without it, this machine alone.",
    ),
]
RAY_WORKERS = 2


def choose_ray(engine: Engine, *, workers: int | None, address: str | None) -> RayWorkers | None:
    """What these options ask for; none: the processes of this machine.

    Raises:
        EdgeMelanomaError: an option of Ray with the local engine.
    """
    if engine is Engine.RAY:
        return RayWorkers(count=workers, address=address)
    for option, value in (("--workers", workers), ("--address", address)):
        if value is not None:
            raise EdgeMelanomaError(
                f"{option} is for --engine ray; give that too, or leave it out."
            )
    return None


def choose_timing(
    *, runs: int, warmup: int, threads: Sequence[str], seconds: tuple[float, float], mlperf: bool
) -> TimingSettings:
    """The settings that the options ask for; `seconds` are the least and the most.

    Raises:
        EdgeMelanomaError: a number of threads that is none, or the least is above the most.
    """
    least, most = seconds
    if mlperf:
        runs, least, most = max(runs, MLPERF_QUERIES), max(least, MLPERF_SECONDS), float("inf")
    if least > most:
        raise EdgeMelanomaError(
            f"--min-seconds {least:g} is more than --max-seconds {most:g}; raise the latter."
        )
    counts = parse_threads(threads)
    return TimingSettings(
        runs=runs, warmup=warmup, threads=counts, min_seconds=least, max_seconds=most
    )


def parse_threads(words: Sequence[str]) -> tuple[int, ...]:
    """Numbers of threads out of `1`, `1,2` or `all`, each once, in the order given.

    Raises:
        EdgeMelanomaError: a word that is neither `all` nor a whole number from 1 on.
    """
    if not words:
        return TimingSettings().threads
    counts = []
    for word in ",".join(words).split(","):
        if not re.fullmatch(r"\s*(all|0*[1-9][0-9]*)\s*", word):
            raise EdgeMelanomaError(
                f"--threads got '{word}'; expected whole numbers from 1 on, or all, as in "
                f"--threads 1,2,all."
            )
        counts.append(os.cpu_count() or 1 if word.strip() == "all" else int(word))
    return tuple(dict.fromkeys(counts))
