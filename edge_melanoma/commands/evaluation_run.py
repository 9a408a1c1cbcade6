"""What `evaluate` does: one model, its data set and others, metrics with intervals."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_melanoma.artifacts import (
    MANIFEST,
    SPLIT,
    ConvertedModel,
    TrainedModel,
    open_converted,
    open_run,
    read_json,
    write_json,
)
from edge_melanoma.bundled import bundled_model, is_bundled
from edge_melanoma.classifiers import KerasClassifier, TFLiteClassifier, choose_runtime
from edge_melanoma.commands.evaluation_table import show_evaluation
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation import (
    CONVENTIONAL_THRESHOLD,
    WITHOUT_LEAKED,
    count_images,
    evaluate_defined,
    without_images,
)
from edge_melanoma.external_sets import (
    LearnedPictures,
    learned_by_run,
    read_external_set,
    read_external_sets,
)
from edge_melanoma.fingerprints import default_fingerprint_folder
from edge_melanoma.images import RESIZE_ID
from edge_melanoma.lesions import LesionRecord
from edge_melanoma.model_trial import try_model
from edge_melanoma.predictions import PredictionSet, predict
from edge_melanoma.progress import Reporter, TerminalReporter
from edge_melanoma.reliability import measure_reliability
from edge_melanoma.run_data import describe_own_side, leaked_test_of, read_test_side
from edge_melanoma.run_folders import refuse_unwritable
from edge_melanoma.runtimes import Runtime

SAVED_MODEL = "saved_model.pb"


def evaluate_model(
    path: Path,
    *,
    data: Path | None,
    threshold: float | None,
    interpreter: Runtime | None,
    json: Path | None,
    external: Mapping[str, Path] | None = None,
) -> dict[str, Any]:
    """Score, measure, print, and write JSON where it is asked for."""
    refuse_unwritable(json)
    reporter = TerminalReporter()
    run, converted = open_model(path)
    if data is None and run is None:
        raise EdgeMelanomaError(
            f"{path} is not in a run folder; say what to score with --data DIR."
        )
    chosen, source = _threshold(threshold, run, converted)
    learned = learned_by_run(run) if run and (data or external) else None
    outside = read_external_sets(
        external or {}, learned, reporter=reporter, cache_folder=default_fingerprint_folder()
    )
    records, described = _main_set(run, data, learned, reporter)
    judged = [records, *(found.records for found in outside)]
    predictions = _score(run, converted, judged, interpreter, reporter)
    own, *others = (
        evaluate_defined(scores, threshold=chosen)
        | {"calibration": measure_reliability(scores).as_dict()}
        for scores in predictions
    )
    result = {
        "schema": 1,
        "model": _describe_model(path, run, converted, interpreter),
        "threshold_source": source,
        "resize": RESIZE_ID,
        **described,
        **own,
        **_without_leaked(run if data is None else None, predictions[0], chosen),
        "external": {
            found.name: found.as_dict() | measured
            for found, measured in zip(outside, others, strict=True)
        },
    }
    show_evaluation(result)
    if json is not None:
        write_json(json, result)
    return result


def open_model(path: Path) -> tuple[TrainedModel | None, ConvertedModel | None]:
    """A run folder; or a .tflite file, with the run around it where it lies in one's exports.

    The word `bundled` is the int8 file in the package.
    """
    if is_bundled(path):
        path = bundled_model()
    if path.is_file() and path.suffix != ".tflite":
        raise EdgeMelanomaError(
            f"{path} is neither a run folder nor a .tflite file; models of Keras, pickle and "
            f"others are not opened, as loading them can run code that is in them."
        )
    if (path / SAVED_MODEL).exists():
        raise EdgeMelanomaError(
            f"{path} is a SavedModel, which is not opened, as loading it can run code that is in "
            f"it; expected a run folder or a .tflite file."
        )
    if path.is_dir() or path.suffix != ".tflite":
        return open_run(path), None
    converted = open_converted(path)
    folder = path.resolve().parent.parent
    run = open_run(folder) if (folder / MANIFEST).is_file() else None
    return run, converted


def _main_set(
    run: TrainedModel | None, data: Path | None, learned: LearnedPictures | None, reporter: Reporter
) -> tuple[tuple[LesionRecord, ...], dict[str, Any]]:
    """The pictures of --data, or of the run's own test side, and what the JSON says of them."""
    if data is not None:
        found = read_external_set(
            data, learned, reporter=reporter, cache_folder=default_fingerprint_folder()
        )
        return found.records, found.as_dict()
    if run is None:
        raise ValueError("neither a run nor a data set")
    records = read_test_side(run)
    return records, {"dataset": describe_own_side(run, "test", records)}


def _score(
    run: TrainedModel | None,
    converted: ConvertedModel | None,
    judged: Sequence[tuple[LesionRecord, ...]],
    interpreter: Runtime | None,
    reporter: Reporter,
) -> list[PredictionSet]:
    """The scores of each of several sets by one model."""
    if converted is not None:
        runtime, label = choose_runtime(interpreter), converted.mode
        try_model(converted, runtime=runtime)
        with TFLiteClassifier(converted.data, name=converted.path.name, runtime=runtime) as tflite:
            return [predict(tflite, records, reporter=reporter, label=label) for records in judged]
    if run is None:
        raise ValueError("neither a run nor a converted model")
    from edge_melanoma.network import load_network

    keras = KerasClassifier(load_network(run))
    return [predict(keras, records, reporter=reporter, label="Keras") for records in judged]


def _without_leaked(
    run: TrainedModel | None, predictions: PredictionSet, threshold: float
) -> dict[str, Any]:
    """The run's test side without pictures that have copies in the given training part, if any."""
    leaked = leaked_test_of(read_json(run.folder / SPLIT)) if run else ()
    rest = without_images(predictions, leaked)
    if not leaked or not len(rest.labels):
        return {}
    return {WITHOUT_LEAKED: count_images(rest) | evaluate_defined(rest, threshold=threshold)}


def _threshold(
    asked: float | None, run: TrainedModel | None, converted: ConvertedModel | None
) -> tuple[float, str]:
    if asked is not None:
        return asked, "--threshold"
    if converted is not None and "threshold" in converted.manifest:
        return float(converted.manifest["threshold"]), "validation"
    if run is not None:
        return run.threshold, "validation"
    return CONVENTIONAL_THRESHOLD, "convention"


def _describe_model(
    path: Path,
    run: TrainedModel | None,
    converted: ConvertedModel | None,
    interpreter: Runtime | None,
) -> dict[str, object]:
    if converted is not None:
        return {
            "file": path.name,
            "mode": converted.mode,
            "runtime": choose_runtime(interpreter).value,
            "sha256": converted.sha256,
            "size_bytes": converted.size_bytes,
        }
    if run is None:
        raise ValueError("neither a run nor a converted model")
    return {
        "file": run.folder.name,
        "mode": "keras",
        "runtime": "keras",
        "variant": run.variant,
        "sha256": run.sha256,
    }
