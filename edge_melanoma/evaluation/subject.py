"""The model that `evaluate` scores pictures with, and what is said of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.evaluation import CONVENTIONAL_THRESHOLD
from edge_melanoma.evaluation.predictions import PredictionSet, predict
from edge_melanoma.machine.files import read_json
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.runs.bundled import bundled_model, is_bundled
from edge_melanoma.runs.models import (
    MANIFEST,
    SPLIT,
    ConvertedModel,
    TrainedModel,
    open_converted,
    open_run,
)
from edge_melanoma.runs.pictures import leaked_test_of
from edge_melanoma.runtime.classifiers import KerasClassifier, TFLiteClassifier, choose_runtime
from edge_melanoma.runtime.interpreters import try_model
from edge_melanoma.runtime.names import Runtime

SAVED_MODEL = "saved_model.pb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The model that is evaluated: a run's network, or a converted file and its run if known."""

    path: Path
    run: TrainedModel | None
    converted: ConvertedModel | None
    threshold: float
    threshold_source: str
    interpreter: Runtime | None

    @property
    def facts(self) -> dict[str, Any]:
        """What the result says of the model."""
        return {
            "model": _describe_model(self.path, self.run, self.converted, self.interpreter),
            "threshold": self.threshold,
            "threshold_source": self.threshold_source,
        }

    def leaked(self) -> tuple[str, ...]:
        """The ids of the run's test pictures that have copies in the given training part."""
        return leaked_test_of(read_json(self.run.folder / SPLIT)) if self.run else ()

    def score(
        self, judged: Sequence[tuple[LesionRecord, ...]], reporter: Reporter
    ) -> list[PredictionSet]:
        """The scores of each of several sets."""
        return _score(self.run, self.converted, judged, self.interpreter, reporter)


def open_subject(
    path: Path, *, data: Path | None, threshold: float | None, interpreter: Runtime | None
) -> Subject:
    """The model at `path`, with the threshold that was asked for or is its own.

    Raises:
        EdgeMelanomaError: no model, or a file without a run and without `data` to score.
    """
    run, converted = open_model(path)
    if data is None and run is None:
        raise EdgeMelanomaError(
            f"{path} is not in a run folder; say what to score with --data DIR."
        )
    chosen, source = _threshold(threshold, run, converted)
    return Subject(
        path=path,
        run=run,
        converted=converted,
        threshold=chosen,
        threshold_source=source,
        interpreter=interpreter,
    )


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
    from edge_melanoma.network.network import load_network

    keras = KerasClassifier(load_network(run))
    return [predict(keras, records, reporter=reporter, label="Keras") for records in judged]


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
