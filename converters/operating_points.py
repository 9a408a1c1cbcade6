"""The operating point of each exported file, chosen on its own validation scores.

Quantisation moves scores, so that the network's threshold gives a file another recall than the one
asked for; and an integer output has only its own steps to put a threshold between.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edge_melanoma.converters.model_info import embed_model_info
from edge_melanoma.data.images import UnreadableImageError
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation import thresholds
from edge_melanoma.evaluation.drift import make_reference, values_of
from edge_melanoma.evaluation.predictions import (
    PredictionSet,
    make_prediction_set,
    predictions_to_csv,
    read_predictions,
)
from edge_melanoma.evaluation.promises import Demand
from edge_melanoma.machine import files
from edge_melanoma.machine.schemas import read_json
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.runs.converted import ConvertedModel, open_converted
from edge_melanoma.runs.manifests import ExportManifest
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.runs.own_files import remember_own
from edge_melanoma.runs.pictures import read_side
from edge_melanoma.runtime.classifiers import TFLiteClassifier
from edge_melanoma.runtime.interpreters import Answer
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.runtime.trial import choose_runtime
from edge_melanoma.tflite.quantization import ScoreTensor, score_tensor_of

SIDE = "validation"


class ValidationScores:
    """Scores of a run's exports on its validation side; each file's are kept beside it."""

    def __init__(self, run: TrainedModel, reporter: Reporter) -> None:
        self._run, self._reporter = run, reporter

    def of(self, model: ConvertedModel) -> PredictionSet | None:
        """Those kept, or else made now; none, and the reason said, where pictures are missing.

        With the scores the counts of what the pictures measure are put into the manifest.

        Raises:
            EdgeMelanomaError: the file has no manifest, or no interpreter runs here.
        """
        _output_of(model)
        path, noted = _scores_path(model.path), model.manifest.get("validation_scores")
        noted = None if _lacks_counts(model) else noted
        kept = files.sha256_of(path.read_bytes()) if noted and path.is_file() else None
        if noted and kept == noted["sha256"]:
            return read_predictions(path)
        if self._records is None:
            return None
        runtime = choose_runtime(None)
        answers = self._answer(model, runtime, self._records)
        numbers = np.array([answer.score for answer in answers], np.float64)
        scores = make_prediction_set(self._records, numbers)
        counts = make_reference(values_of(answers), scores.origins) if model.gate else None
        told = predictions_to_csv(scores)
        files.write_atomically(path, told)
        noted = {"sha256": files.sha256_of(told.encode()), "runtime": runtime.value}
        # By what is in it now: it may have changed since the model was opened.
        manifest = {**open_converted(model.path).manifest, "validation_scores": noted}
        files.write_json(model.path.with_suffix(".json"), manifest | {"counts": counts})
        return scores

    def _answer(
        self, model: ConvertedModel, runtime: Runtime, records: Sequence[LesionRecord]
    ) -> list[Answer]:
        label, paths = f"{model.mode} on validation", [record.path for record in records]
        with TFLiteClassifier(
            model.data, name=model.path.name, runtime=runtime, gate=model.gate
        ) as classifier:
            stream = self._reporter.track(
                classifier.stream_answers(paths), label=label, total=len(paths)
            )
            return [_readable(answer) for answer in stream]

    @cached_property
    def _records(self) -> tuple[LesionRecord, ...] | None:
        try:
            return read_side(self._run, SIDE)
        except EdgeMelanomaError as error:
            self._reporter.say(f"Exports keep the run's own threshold. {error}")
            return None


def derive_operating_point(
    model: ConvertedModel,
    scores: PredictionSet,
    *,
    min_recall: float | None = None,
    demand: Demand | None = None,
) -> thresholds.FileOperatingPoint:
    """The point that reaches the recall on the file's own scores, on the grid of its output.

    With a demand, the two thresholds that keep it.
    """
    chosen = thresholds.choose_point(scores, min_recall=min_recall, demand=demand)
    return thresholds.snap_to_output(chosen.point, _output_of(model), chosen.promise)


def save_operating_point(
    run: TrainedModel, model: ConvertedModel, point: thresholds.FileOperatingPoint
) -> ConvertedModel:
    """Put the point into the file and into its manifest, which `predict` and `evaluate` go by."""
    return _embed(run, model, point.as_dict())


def _embed(run: TrainedModel, model: ConvertedModel, point: Mapping[str, Any]) -> ConvertedModel:
    """With the point, the counts that the manifest has."""
    path = model.path.with_suffix(".json")
    manifest = read_json(path, ExportManifest)
    data = embed_model_info(
        run,
        model.data,
        file=model.path.name,
        mode=model.mode,
        threshold=point["threshold"],
        point=point,
        counts=manifest.get("counts"),
    )
    manifest |= {"threshold": point["threshold"], "operating_point": point}
    manifest |= {"sha256": files.sha256_of(data), "size_bytes": len(data)}
    files.write_together({model.path: data, path: files.json_text(manifest)})
    if model.is_vouched_for:
        remember_own(manifest["sha256"])
    return open_converted(model.path)


def complete_operating_point(
    run: TrainedModel, model: ConvertedModel, scores: ValidationScores
) -> ConvertedModel:
    """The model with an operating point at the run's recall target, unless it has one already.

    And with counts of validation pictures, if it has a gate.
    """
    told = model.manifest.get("operating_point")
    is_complete = told is not None and not _lacks_counts(model)
    found = None if is_complete else scores.of(model)
    if found is None:
        return model
    if told is not None:
        return _embed(run, model, told)
    min_recall = run.manifest["operating_point"].get("min_recall")
    point = derive_operating_point(model, found, min_recall=min_recall)
    return save_operating_point(run, model, point)


def forget_operating_point(path: Path) -> None:
    """Remove the scores of a file that has been replaced."""
    _scores_path(path).unlink(missing_ok=True)


def _lacks_counts(model: ConvertedModel) -> bool:
    return model.gate is not None and "counts" not in model.manifest


def _readable(answer: Answer | UnreadableImageError) -> Answer:
    if isinstance(answer, UnreadableImageError):
        raise answer
    return answer


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
