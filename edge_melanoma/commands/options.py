"""Options that several commands share, and those of `bench`, with the settings they make."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from edge_melanoma.benchmarks.settings import MLPERF_QUERIES, MLPERF_SECONDS, TimingSettings
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.ray import RayWorkers
from edge_melanoma.runtime.names import Engine, Runtime

RunArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="[RUN]",
        help="A run folder, or the word bundled for the model in the package; without it, "
        "the newest below runs/.",
    ),
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the result as JSON too.")
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
ExternalSets = Annotated[
    list[str] | None,
    typer.Option(
        "--external",
        metavar="NAME=DIR",
        help="A data set from elsewhere to be measured on too, without copies of images that the "
        "run learned from. Repeat it for several.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace what is already there.")]
Seed = Annotated[int, typer.Option("--seed", help="For everything that is drawn by chance.")]
Deterministic = Annotated[
    bool,
    typer.Option(
        "--deterministic",
        help="The same bytes again on this machine, by TensorFlow's deterministic operators; "
        "recorded in the manifest. Another processor or number of threads gives others.",
    ),
]
InterpreterOption = Annotated[
    Runtime | None,
    typer.Option(
        "--interpreter", help="Which TFLite interpreter; without it, the first that runs here."
    ),
]
EngineOption = Annotated[
    Engine,
    typer.Option(
        "--engine", help="ray: spread over --workers processes, of several machines with --address."
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="Processes that Ray starts; without it 2 for a training, else one a core.",
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        help="The head of a Ray cluster to join, or auto; without it, this machine alone.",
    ),
]
RAY_WORKERS = 2


def check_engine(engine: Engine, *, workers: int | None, address: str | None) -> None:
    """Refuse options that would be without effect.

    Raises:
        EdgeMelanomaError: an option of Ray with the local engine.
    """
    if engine is Engine.RAY:
        return
    for option, value in (("--workers", workers), ("--address", address)):
        if value is not None:
            raise EdgeMelanomaError(
                f"{option} is for --engine ray; give that too, or leave it out."
            )


def choose_ray(engine: Engine, *, workers: int | None, address: str | None) -> RayWorkers | None:
    """Where pictures are scored, of these options; none: in processes of this machine.

    Raises:
        EdgeMelanomaError: an option of Ray with the local engine.
    """
    check_engine(engine, workers=workers, address=address)
    return RayWorkers(count=workers, address=address) if engine is Engine.RAY else None


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
        "--mlperf", help="As MLPerf's single stream: at least 1,024 runs and 60 seconds a model."
    ),
]
Kernels = Annotated[
    bool,
    typer.Option("--kernels", help="Run each file by other kernels too, and compare the outputs."),
]
KernelImages = Annotated[
    int, typer.Option("--kernel-images", min=1, metavar="N", help="Pictures for --kernels.")
]
InterpreterPython = Annotated[
    Path | None,
    typer.Option(
        "--interpreter-python",
        metavar="FILE",
        help="A Python with tflite-runtime 2.14, for --kernels; without it one is looked for.",
    ),
]
Mistakes = Annotated[
    bool,
    typer.Option("--mistakes", help="Price the classic preprocessing mistakes, in recall."),
]
Adb = Annotated[
    bool, typer.Option("--adb", help="Time the files on the phone that adb is connected with too.")
]
BenchmarkBinary = Annotated[
    Path | None,
    typer.Option(
        "--benchmark-binary",
        metavar="FILE",
        help="TensorFlow Lite's benchmark_model for that phone, for --adb.",
    ),
]


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
