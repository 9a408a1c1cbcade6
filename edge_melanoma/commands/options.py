"""Options that several commands share, and the settings that these and those of `bench` make."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option
from typer.core import TyperCommand

from edge_melanoma.benchmarks.settings import MLPERF_QUERIES, MLPERF_SECONDS, TimingSettings
from edge_melanoma.data.image_files import IMAGE_SUFFIXES
from edge_melanoma.data.labels import Group, Reading
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import STDOUT
from edge_melanoma.machine.ray import RayWorkers
from edge_melanoma.runtime.names import Engine, Runtime

DEFAULTS = {"--json": str(STDOUT), "--write-contract": "parity.toml"}
"""What stands for an option's file where none follows it."""


class Command(TyperCommand):
    """A command some of whose options may stand without a value, which typer's cannot."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give them their defaults where no name of a file follows."""
        return super().parse_args(ctx, complete_options(args))


def complete_options(arguments: Sequence[str]) -> list[str]:
    """The arguments with a file after each option of `DEFAULTS`.

    What follows is the option's file unless it is another option, a folder, or the name of a
    picture or a model: those are what the command is about.
    """
    completed = list(arguments)
    for place, word in enumerate(arguments):
        following = arguments[place + 1] if place + 1 < len(arguments) else None
        if word in DEFAULTS and not _names_a_result(following):
            completed[place] = f"{word}={DEFAULTS[word]}"
    return completed


def _names_a_result(word: str | None) -> bool:
    if word is None or Path(word).is_dir():
        return False
    if word.startswith("-"):
        return word == str(STDOUT)
    return word != "bundled" and Path(word).suffix.lower() not in {*IMAGE_SUFFIXES, ".tflite"}


RunArgument = Annotated[
    Path | None,
    Argument(
        metavar="[RUN]",
        help="A run folder, or the word bundled for the model in the package; without it, "
        "the newest below runs/.",
    ),
]
JsonFile = Annotated[
    Path | None,
    Option(
        metavar="[FILE]",
        help="Write the result as JSON; without FILE, or with -, to stdout in place of the tables.",
    ),
]
RunFolder = Annotated[
    Path | None,
    Argument(metavar="[RUN]", help="A run folder; without it, the newest below runs/."),
]
ExternalSets = Annotated[
    list[str] | None,
    Option(
        metavar="NAME=DIR",
        help="A data set from elsewhere to be measured on too, without copies of images that the "
        "run learned from. Repeat it for several.",
    ),
]
LabelTables = Annotated[
    list[str] | None,
    Option(
        metavar="[NAME=]FILE",
        help="A CSV table that says which pictures below DIR are malignant, with columns as in "
        "HAM10000, the ISIC challenges and archive, PH2, derm7pt, or file,label. Repeat it where "
        "another one tells lesions or patients; NAME= for that set alone, or an external one.",
    ),
]
MalignantClasses = Annotated[
    str | None,
    Option(
        metavar="NAME[,NAME...]",
        help="Which diagnoses or class folders count as malignant, such as mel or mel,bcc,akiec.",
    ),
]
GroupBy = Annotated[
    Group | None,
    Option(help="Whose pictures stay together: a lesion's, or a patient's, where one is known."),
]
InputRange = Annotated[
    str | None,
    Option(
        metavar="0..1|-1..1|0..255",
        help="What the model takes for black and white, where its file does not tell.",
    ),
]
MalignantIndex = Annotated[
    str | None,
    Option(
        metavar="N[,N]",
        help="Which of several outputs are malignant: numbers from 0, or the file's labels.",
    ),
]
IsLogit = Annotated[bool, Option("--logit", help="The outputs are logits, not probabilities.")]


def _check_recall(min_recall: float | None) -> float | None:
    """Before anything is read."""
    if min_recall is not None:
        from edge_melanoma.evaluation.thresholds import refuse_impossible_recall

        refuse_impossible_recall(min_recall)
    return min_recall


MinRecall = Annotated[
    float | None,
    Option(
        callback=_check_recall,
        help="The validation recall to reach, in every clinic where there are several. Without it: "
        "0.95; of several clinics, 0.85 as the lower 95 % bound in each.",
    ),
]
MaxMiss = Annotated[
    float | None,
    Option(
        metavar="SHARE",
        help="Three answers instead of two: at most this share of melanomas, such as 0.03, is not "
        "flagged, in every clinic.",
    ),
]
MaxFalseAlarm = Annotated[
    float | None,
    Option(
        metavar="SHARE",
        help="With --max-miss: at most this share of benign lesions is flagged; 0.1 if not given.",
    ),
]
Confidence = Annotated[
    float | None,
    Option(
        metavar="SHARE",
        help="With --max-miss: how sure both are to be, by exact binomial bounds; 0.95 if not "
        "given.",
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


def choose_reading(
    labels: Sequence[str] | None,
    malignant: str | None,
    group: Group | None,
    *,
    folders: Sequence[Path | None],
    external: Sequence[str] | None = None,
) -> Reading:
    """How the data sets in `folders`, and those of --external, are to be read.

    Raises:
        EdgeMelanomaError: no such table, a set that is not given, or no set to read.
    """
    inside = {folder.resolve().name for folder in folders if folder}
    sets = inside | {word.partition("=")[0] for word in external or ()}
    if not sets and (labels or malignant or group):
        raise EdgeMelanomaError(
            "--labels, --malignant and --group are for sets that are given with --data or "
            "--external; how a run's own sets were read is recorded in it."
        )
    tables: list[tuple[str | None, Path]] = []
    for word in labels or ():
        name, _, path = ("", "", word) if Path(word).is_file() else word.partition("=")
        known = sets if name else inside
        if not Path(path).is_file() or not known or name not in {"", *known}:
            raise EdgeMelanomaError(
                f"--labels {word} is no file, or of no set that is read; expected FILE, or "
                f"NAME=FILE with one of the names {', '.join(sorted(sets))}."
            )
        tables.append((name or None, Path(path)))
    names = [name.strip() for name in (malignant or "").split(",")]
    return Reading(tables=tuple(tables), malignant=tuple(filter(None, names)), group=group)


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
