"""The operating point of each exported file, from the file's own scores of the validation side.

Quantisation moves scores, so that the network's threshold gives a file another recall than the one
asked for; and an integer output has only its own steps to put a threshold between.
"""

from functools import cached_property
from pathlib import Path

from edge_melanoma.converters.model_info import embed_model_info
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import (
    PredictionSet,
    predict,
    predictions_to_csv,
    read_predictions,
)
from edge_melanoma.evaluation.thresholds import (
    FileOperatingPoint,
    choose_operating_point,
    snap_to_output,
)
from edge_melanoma.machine.files import (
    json_text,
    read_json,
    sha256_of,
    write_atomically,
    write_json,
    write_together,
)
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.runs.models import ConvertedModel, TrainedModel, open_converted
from edge_melanoma.runs.pictures import read_side
from edge_melanoma.runtime.classifiers import TFLiteClassifier, choose_runtime
from edge_melanoma.tflite.quantization import ScoreTensor, score_tensor_of

SIDE = "validation"


class ValidationScores:
    """Scores of a run's exports on its validation side; each file's are kept beside it."""

    def __init__(self, run: TrainedModel, reporter: Reporter) -> None:
        self._run, self._reporter = run, reporter

    def of(self, model: ConvertedModel) -> PredictionSet | None:
        """Those kept, or else made now; none, and the reason said, where pictures are missing.

        Raises:
            EdgeMelanomaError: the file has no manifest, or no interpreter runs here.
        """
        _output_of(model)
        kept = _kept_scores(model)
        if kept is not None or self._records is None:
            return kept
        runtime = choose_runtime(None)
        with TFLiteClassifier(model.data, name=model.path.name, runtime=runtime) as classifier:
            label = f"{model.mode} on validation"
            scores = predict(classifier, self._records, reporter=self._reporter, label=label)
        told = predictions_to_csv(scores)
        write_atomically(_scores_path(model.path), told)
        noted = {"sha256": sha256_of(told.encode()), "runtime": runtime.value}
        _change_manifest(model.path, validation_scores=noted)
        return scores

    @cached_property
    def _records(self) -> tuple[LesionRecord, ...] | None:
        try:
            return read_side(self._run, SIDE)
        except EdgeMelanomaError as error:
            self._reporter.say(f"Exports keep the run's own threshold. {error}")
            return None


def derive_operating_point(
    model: ConvertedModel, scores: PredictionSet, *, min_recall: float | None
) -> FileOperatingPoint:
    """The point that reaches the recall on the file's own scores, on the grid of its output."""
    point = choose_operating_point(scores, min_recall=min_recall)
    return snap_to_output(point, _output_of(model))


def save_operating_point(
    run: TrainedModel, model: ConvertedModel, point: FileOperatingPoint
) -> ConvertedModel:
    """Put the point into the file and into its manifest, which `predict` and `evaluate` go by."""
    told = point.as_dict()
    threshold = told["threshold"]
    data = embed_model_info(
        run, model.data, file=model.path.name, mode=model.mode, threshold=threshold, point=told
    )
    changes = {"threshold": threshold, "operating_point": told}
    changes |= {"sha256": sha256_of(data), "size_bytes": len(data)}
    path = model.path.with_suffix(".json")
    write_together({model.path: data, path: json_text({**read_json(path), **changes})})
    return open_converted(model.path)


def complete_operating_point(
    run: TrainedModel, model: ConvertedModel, scores: ValidationScores
) -> ConvertedModel:
    """The model with an operating point at the run's recall target, unless it has one already."""
    is_complete = model.manifest.get("operating_point") is not None
    found = None if is_complete else scores.of(model)
    if found is None:
        return model
    min_recall = run.manifest["operating_point"]["min_recall"]
    point = derive_operating_point(model, found, min_recall=min_recall)
    return save_operating_point(run, model, point)


def forget_operating_point(path: Path) -> None:
    """Remove the scores of a file that has been replaced."""
    _scores_path(path).unlink(missing_ok=True)


def _output_of(model: ConvertedModel) -> ScoreTensor:
    output = score_tensor_of(model.manifest)
    if output is None:
        raise EdgeMelanomaError(
            f"{model.path} has no manifest beside it, which says what its output means; "
            f"export it again."
        )
    return output


def _scores_path(path: Path) -> Path:
    return path.with_suffix(".validation.csv")


def _kept_scores(model: ConvertedModel) -> PredictionSet | None:
    path, noted = _scores_path(model.path), model.manifest.get("validation_scores")
    if noted is None or not path.is_file():
        return None
    return read_predictions(path) if sha256_of(path.read_bytes()) == noted["sha256"] else None


def _change_manifest(path: Path, **change: object) -> ConvertedModel:
    """By what is in it now: scores may have been noted since the model was opened."""
    write_json(path.with_suffix(".json"), {**open_converted(path).manifest, **change})
    return open_converted(path)
