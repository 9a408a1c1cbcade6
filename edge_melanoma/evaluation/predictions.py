"""What a model said about which pictures: the meeting point of every runtime and every metric."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.runtime.classifiers import Classifier


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionSet:
    """Scores in 0..1 for labelled pictures; label true is malignant.

    Raises:
        ValueError: lengths differ, an id stands twice, or a score is outside 0..1 (NaN included).
    """

    image_ids: tuple[str, ...]
    labels: NDArray[np.bool_]
    scores: NDArray[np.float64]

    def __post_init__(self) -> None:
        if not len(self.image_ids) == len(self.labels) == len(self.scores):
            raise ValueError(
                f"{len(self.image_ids)} image ids, {len(self.labels)} labels and "
                f"{len(self.scores)} scores; expected as many of each."
            )
        if len(set(self.image_ids)) != len(self.image_ids):
            raise ValueError("An image id stands twice in a prediction set.")
        if not np.all((self.scores >= 0) & (self.scores <= 1)):
            raise ValueError("A score is outside 0..1.")

    def decisions(self, *, threshold: float) -> NDArray[np.bool_]:
        """True where a picture is called malignant: its score reaches the threshold."""
        return self.scores >= threshold


def predict(
    classifier: Classifier, records: Sequence[LesionRecord], *, reporter: Reporter, label: str
) -> PredictionSet:
    """Scores of all `records` by one classifier, with progress under `label`."""
    stream = classifier.stream_scores([record.path for record in records])
    scores = list(reporter.track(stream, label=label, total=len(records)))
    return make_prediction_set(records, np.array(scores, dtype=np.float64))


def make_prediction_set(
    records: Sequence[LesionRecord], scores: NDArray[np.float64]
) -> PredictionSet:
    """Ids and labels from the records, scores in their order."""
    return PredictionSet(
        image_ids=tuple(record.image_id for record in records),
        labels=np.array([record.is_malignant for record in records], dtype=np.bool_),
        scores=scores,
    )


def refuse_other_images(reference: PredictionSet, candidate: PredictionSet) -> None:
    """A comparison image by image needs the same pictures, in the same order, with equal labels."""
    same = np.array_equal(reference.labels, candidate.labels)
    if reference.image_ids != candidate.image_ids or not same:
        raise EdgeMelanomaError(
            "The two prediction sets are of different images; score both models on the same ones."
        )


def predictions_to_csv(predictions: PredictionSet) -> str:
    """Lines of image_id,is_malignant,score; scores with 17 digits, so that they read back equal."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("image_id", "is_malignant", "score"))
    labels, scores = predictions.labels.astype(int), map(repr, predictions.scores.tolist())
    writer.writerows(zip(predictions.image_ids, labels, scores, strict=True))
    return stream.getvalue()


def read_predictions(path: Path) -> PredictionSet:
    """The inverse of `predictions_to_csv`."""
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return PredictionSet(
        image_ids=tuple(row["image_id"] for row in rows),
        labels=np.array([row["is_malignant"] == "1" for row in rows], dtype=np.bool_),
        scores=np.array([float(row["score"]) for row in rows], dtype=np.float64),
    )
