"""A run of a network that was trained elsewhere: imported, checked against its own scores, split.

Its weights go into a run folder as those of a training do, so that `export`, `bench` and the others
need not know where they came from.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from edge_melanoma.data.images import RESIZE_ID, decode_image, read_image_bytes
from edge_melanoma.data.screening import default_fingerprint_folder
from edge_melanoma.data.sets import (
    leave_out_one_sided,
    name_folders,
    read_data_sets,
    tell_skipped,
)
from edge_melanoma.data.splits import SplitKind
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.evaluation import CONVENTIONAL_THRESHOLD
from edge_melanoma.evaluation.predictions import predict
from edge_melanoma.evaluation.tables import print_training_table
from edge_melanoma.evaluation.thresholds import choose_operating_point
from edge_melanoma.machine.files import sha256_of_file
from edge_melanoma.machine.terminal import (
    Reporter,
    TerminalReporter,
    next_lines,
    print_lines,
    results_console,
)
from edge_melanoma.network.keras_models import ImportedModel, read_keras_model
from edge_melanoma.network.network import assign_arrays, build_network
from edge_melanoma.runs.folders import choose_run_folder, hold_run
from edge_melanoma.runs.models import CONVENTION, MANIFEST, open_run
from edge_melanoma.runs.results import read_evaluation
from edge_melanoma.runtime.classifiers import KerasClassifier
from edge_melanoma.tflite.ends import Ends
from edge_melanoma.training.material import gather_material
from edge_melanoma.training.record import (
    close_run,
    record_scores,
    record_split,
    record_weights,
)

TOLERANCE = 1e-4
"""Of a score: float32 sums in another order differ by 1e-6, another resize by far more."""


def import_run(
    file: Path,
    ends: Ends,
    *,
    out: Path,
    image_size: int | None = None,
    checks: Sequence[str] = (),
    data: Sequence[Path] = (),
    split: SplitKind | None = None,
    seed: int = 0,
    min_recall: float | None = None,
    force: bool = False,
) -> Path:
    """Write the run of a Keras file; the folder. Without `data` it has no threshold and no split.

    A given test folder is kept unless `split` is another: the network may have seen the others.
    `checks` are `IMAGE=SCORE` or tables of file and score.

    Raises:
        EdgeMelanomaError: the file does not fit or tell enough, a score is not that of the check,
            or pictures or folders cannot be used. Then no run is left.
    """
    if not file.exists():
        raise EdgeMelanomaError(f"There is no file {file}; expected a .keras or .h5 file.")
    expected, reporter = read_checks(checks), TerminalReporter()
    named = name_folders(data) if data else {}
    records = read_data_sets(named) if data else ()
    has_test_side = any(record.side == "test" for record in records)
    target = choose_run_folder(out, variant="imported", force=force)
    try:
        imported = read_keras_model(file, ends, image_size=image_size)
        network = build_network(imported.spec)
        assign_arrays(network, imported.arrays, source=file)
        checked = check_scores(network, expected)
    except EdgeMelanomaError:
        with suppress(OSError):
            target.rmdir()
        raise
    with hold_run(target):
        (target / MANIFEST).unlink(missing_ok=True)
        record_weights(target, network, half_precision=False)
        told = _describe(file, imported, checked)
        if named:
            tell_skipped(named, records, reporter=reporter)
            material = gather_material(
                named,
                leave_out_one_sided(records, reporter=reporter),
                kind=split or (SplitKind.FOLDERS if has_test_side else SplitKind.POOLED),
                seed=seed,
                teacher=None,
                cache_folder=default_fingerprint_folder(),
                reporter=reporter,
            )
            score = partial(predict, KerasClassifier(network), reporter=reporter)
            sides = {
                side: score(members, label=f"Scoring the {side} side")
                for side, members in material.split.sides().items()
            }
            point = choose_operating_point(sides["validation"], min_recall=min_recall)
            told |= record_split(target, material, augmentation=None)
            told["operating_point"] = asdict(point)
            leaked = material.split.leaked_test
            record_scores(target, sides, point, told["dataset"], leaked_test=leaked)
        close_run(target, told)
    _report(target, told, reporter)
    return target


def _describe(file: Path, imported: ImportedModel, checked: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "schema": 1,
        "variant": imported.spec.variant.value,
        "recipe": asdict(imported.spec),
        "imported": {
            "file": file.name,
            "sha256": sha256_of_file(file),
            "read_as": imported.read_as,
            "checked": checked,
        },
        "resize": RESIZE_ID,
        "operating_point": {"threshold": CONVENTIONAL_THRESHOLD, "source": CONVENTION},
    }


def _report(target: Path, told: Mapping[str, Any], reporter: Reporter) -> None:
    shape, imported = told["recipe"]["shape"], told["imported"]
    read_as, checked = imported["read_as"], imported["checked"]
    reporter.say(
        f"Imported {imported['file']}: MobileNetV2 alpha {shape['alpha']:g}, "
        f"{read_as['image_size']} pixels from {read_as['input_range']}, {read_as['outputs']} "
        f"outputs, malignant: {', '.join(map(str, read_as['malignant_index']))}"
    )
    if not checked["images"]:
        reporter.say(
            "No score was compared: --check IMAGE=SCORE holds the run against your own notebook"
        )
    if "dataset" in told:
        reporter.say(
            "It is not known which pictures the network was trained on: if its test side has some "
            "of them, its figures are too good"
        )
        print_training_table([(open_run(target), read_evaluation(target))])
    else:
        command = ("evaluate", target, "--data", "DIR")
        print_lines(results_console(width=160), *next_lines(target, command=command, word="Run"))


def read_checks(words: Sequence[str]) -> dict[Path, float]:
    """Pictures and their scores out of `IMAGE=SCORE` and tables with the columns file and score.

    Raises:
        EdgeMelanomaError: a word, a line or a picture that cannot be used.
    """
    found: dict[Path, float] = {}
    for word in words:
        if word.lower().endswith(".csv"):
            found |= _read_table(Path(word))
            continue
        picture, _, score = word.rpartition("=")
        found[Path(picture)] = _score_of(score, f"--check {word}")
    for path in found:
        read_image_bytes(path)
    return found


def _read_table(table: Path) -> dict[Path, float]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, ValueError, csv.Error) as error:
        raise EdgeMelanomaError(f"--check {table} cannot be read: {error}.") from error
    if not rows or not {"file", "score"} <= rows[0].keys():
        raise EdgeMelanomaError(
            f"--check {table} is no table of pictures and scores; expected a first line file,score "
            f"and a line for each picture, whose place is given from the table's folder."
        )
    return {
        table.parent / row["file"]: _score_of(row["score"], f"{table}, line {number}")
        for number, row in enumerate(rows, start=2)
    }


def _score_of(text: str, where: str) -> float:
    try:
        score = float(text)
    except (TypeError, ValueError):
        score = math.nan
    if not 0 <= score <= 1:
        raise EdgeMelanomaError(
            f"{where} gives no score; expected IMAGE=SCORE, or a .csv file, where SCORE is "
            f"P(malignant) as your notebook gave it, from 0 to 1."
        )
    return score


def check_scores(network: Any, expected: Mapping[Path, float]) -> dict[str, Any]:
    """How many scores were compared and the largest difference, for the manifest.

    Raises:
        EdgeMelanomaError: a picture has another score.
    """
    largest = 0.0
    scores = KerasClassifier(network).stream_scores(list(expected))
    for (picture, wanted), score in zip(expected.items(), scores, strict=True):
        largest = max(largest, abs(score - wanted))
        if largest > TOLERANCE:
            raise EdgeMelanomaError(
                f"{picture} was to score {wanted:.6f} and scores {score:.6f}, more than "
                f"{TOLERANCE:g} apart; {_likely_cause(picture, int(network.input_shape[1]))}."
            )
    return {"images": len(expected), "largest_difference": largest}


def _likely_cause(picture: Path, size: int) -> str:
    height, width, _ = decode_image(read_image_bytes(picture), name=str(picture)).shape
    if (height, width) != (size, size):
        return (
            f"it has {width}x{height} pixels, and your notebook may resize otherwise: check with "
            f"pictures of {size}x{size} as PNG, which are not resized"
        )
    return (
        "your notebook may have fed other numbers or meant another class: see --input-range and "
        "--malignant-index"
    )
