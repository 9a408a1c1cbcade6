"""Options that several commands share, and the settings that these and those of `bench` make."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from edge_melanoma.benchmarks.settings import MLPERF_QUERIES, MLPERF_SECONDS, TimingSettings
from edge_melanoma.data.image_files import IMAGE_SUFFIXES
from edge_melanoma.data.labels import Group, Reading
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine import command_line
from edge_melanoma.machine.command_line import ADVANCED, OUTPUT
from edge_melanoma.machine.files import STDOUT
from edge_melanoma.machine.ray import RayWorkers
from edge_melanoma.runtime.names import Engine, Runtime

DEFAULTS = {"--json": str(STDOUT), "--write-contract": "parity.toml"}
"""What stands for an option's file where none follows it."""
DATA, ANSWERS = "Data", "Three answers"
"""Panels of the help, beside those that every command has."""


class Command(command_line.Command):
    """A command some of whose options may stand without a value, which typer's cannot."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give them their defaults where no name of a file follows."""
        return super().parse_args(ctx, complete_options(args))


class Configurable(Command, command_line.Configurable):
    """The same, with --config; words of a run's own file stand for what they were."""

    def recall(self, word: str, path: Path) -> str:
        """By what was noted when the file was written."""
        from edge_melanoma.runs.own_files import find_word

        return find_word(word, file=path)


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


def complete_runs(incomplete: str) -> list[str]:
    """For a shell: the runs below runs/, the word bundled, and folders and models of that name."""
    from edge_melanoma.runs.bundled import WORD
    from edge_melanoma.runs.models import MANIFEST, RUNS_FOLDER

    runs = sorted(str(path.parent) for path in RUNS_FOLDER.glob(f"*/{MANIFEST}"))
    places = sorted(Path().glob(f"{incomplete}*")) if incomplete else []
    others = [str(path) for path in places if path.is_dir() or path.suffix == ".tflite"]
    found = dict.fromkeys([*runs, str(WORD), *others])
    return [name for name in found if name.startswith(incomplete)]


NEWEST = "the newest below runs/"
"""Which run is meant where none is named."""
RunArgument = Annotated[
    Path | None,
    Argument(
        metavar="RUN",
        autocompletion=complete_runs,
        show_default=NEWEST,
        help="A run folder, or the word bundled for the model in the package.",
    ),
]
RunFolder = Annotated[
    Path | None,
    Argument(
        metavar="RUN",
        autocompletion=complete_runs,
        show_default=NEWEST,
        help="A run folder.",
    ),
]
ModelArgument = Annotated[
    Path | None,
    Argument(
        metavar="RUN_OR_MODEL",
        autocompletion=complete_runs,
        show_default=NEWEST,
        help="A run folder, a .tflite file, or the word bundled for the model in the package.",
    ),
]
JsonFile = Annotated[
    Path | None,
    Option(
        metavar="[FILE]",
        rich_help_panel=OUTPUT,
        help="Write the result as JSON; without FILE, or with -, to stdout instead of the tables.",
    ),
]
ExternalSets = Annotated[
    list[str] | None,
    Option(
        metavar="NAME=DIR",
        rich_help_panel=DATA,
        help="A data set from elsewhere to measure on as well, without copies of pictures that "
        "the run learned from. May be repeated.",
    ),
]
LabelTables = Annotated[
    list[str] | None,
    Option(
        metavar="[NAME=]FILE",
        rich_help_panel=DATA,
        help="A CSV table that says which pictures below DIR are malignant, as in HAM10000, the "
        "ISIC challenges and archive, PH2, derm7pt, or with the columns file,label. Repeat it "
        "where a second table tells lesions or patients; NAME= for one of several sets.",
    ),
]
MalignantClasses = Annotated[
    str | None,
    Option(
        metavar="NAME[,NAME]",
        rich_help_panel=DATA,
        help="Which diagnoses or class folders count as malignant, such as mel or mel,bcc,akiec.",
    ),
]
GroupBy = Annotated[
    Group | None,
    Option(
        rich_help_panel=DATA,
        help="What stays on one side of a split: the pictures of a lesion, or of a patient where "
        "one is known.",
    ),
]
Threshold = Annotated[
    float | None,
    Option(
        metavar="SHARE",
        min=0.0,
        max=1.0,
        show_default="the model's own",
        help="Flag what scores at least this.",
    ),
]
InputRange = Annotated[
    str | None,
    Option(
        metavar="LOW..HIGH",
        rich_help_panel=ADVANCED,
        autocompletion=lambda: ["0..1", "-1..1", "0..255"],
        help="The values of black and white that the model expects, if its file does not say: "
        "0..1, -1..1 or 0..255.",
    ),
]
MalignantIndex = Annotated[
    str | None,
    Option(
        metavar="N[,N]",
        rich_help_panel=ADVANCED,
        help="Which of several outputs are malignant: numbers from 0, or the file's labels.",
    ),
]
IsLogit = Annotated[
    bool,
    Option("--logit", rich_help_panel=ADVANCED, help="The outputs are logits, not probabilities."),
]


def _check_recall(min_recall: float | None) -> float | None:
    """Before anything is read."""
    if min_recall is not None:
        from edge_melanoma.evaluation.thresholds import refuse_impossible_recall

        refuse_impossible_recall(min_recall)
    return min_recall


MinRecall = Annotated[
    float | None,
    Option(
        metavar="SHARE",
        callback=_check_recall,
        show_default="0.95; of several clinics, 0.85 as the lower 95 % bound in each",
        help="The recall to reach on validation, in every clinic where there are several.",
    ),
]
MaxMiss = Annotated[
    float | None,
    Option(
        metavar="SHARE",
        rich_help_panel=ANSWERS,
        help="Three answers instead of two: at most this share of melanomas, such as 0.03, is not "
        "flagged, in every clinic.",
    ),
]
MaxFalseAlarm = Annotated[
    float | None,
    Option(
        metavar="SHARE",
        rich_help_panel=ANSWERS,
        show_default="0.1",
        help="With --max-miss: at most this share of benign lesions is flagged.",
    ),
]
Confidence = Annotated[
    float | None,
    Option(
        metavar="SHARE",
        rich_help_panel=ANSWERS,
        show_default="0.95",
        help="With --max-miss: how sure both are to be, by exact binomial bounds.",
    ),
]
Force = Annotated[bool, Option("--force", help="Replace what is already there.")]
Seed = Annotated[
    int, Option(rich_help_panel=ADVANCED, help="Seed of everything that is drawn at random.")
]
Deterministic = Annotated[
    bool,
    Option(
        "--deterministic",
        rich_help_panel=ADVANCED,
        help="Use TensorFlow's deterministic operators: the same command gives the same bytes on "
        "this machine. Another processor or number of threads gives others.",
    ),
]
InterpreterOption = Annotated[
    Runtime | None,
    Option(
        rich_help_panel=ADVANCED,
        metavar="NAME",
        show_default="the first that runs here",
        help="Which TFLite interpreter runs the model: ai_edge_litert, tflite_runtime or tf.lite.",
    ),
]
EngineOption = Annotated[
    Engine,
    Option(
        rich_help_panel=ADVANCED,
        help="Where the work runs: in this process, or in --workers processes of Ray, on several "
        "machines with --address.",
    ),
]
WorkersOption = Annotated[
    int | None,
    Option(
        min=1,
        rich_help_panel=ADVANCED,
        show_default="2 for a training, else one a core",
        help="Processes that Ray starts.",
    ),
]
AddressOption = Annotated[
    str | None,
    Option(
        metavar="HOST:PORT",
        rich_help_panel=ADVANCED,
        show_default="this machine alone",
        help="The head of a Ray cluster to join, or auto.",
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
