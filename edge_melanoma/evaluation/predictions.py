"""What a model said about which pictures: the meeting point of every runtime and every metric."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.clinics import source_of
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import cell_text, text_of_cell
from edge_melanoma.machine.schemas import LARGEST_LIST_BYTES, read_bounded
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.runtime.classifiers import Classifier

COLUMNS = ("image_id", "is_malignant", "score")


class Origin(NamedTuple):
    """Of a picture: the clinic or set it is from, its lesion, its diagnosis where it is told."""

    source: str
    lesion: str
    diagnosis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionSet:
    """Scores in 0..1 for labelled pictures; label true is malignant.

    `origins` has one for each picture, or none where they are not known.

    Raises:
        ValueError: lengths differ, an id stands twice, or a score is outside 0..1 (NaN included).
    """

    image_ids: tuple[str, ...]
    labels: NDArray[np.bool_]
    scores: NDArray[np.float64]
    origins: tuple[Origin, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.image_ids) == len(self.labels) == len(self.scores):
            raise ValueError(
                f"{len(self.image_ids)} image ids, {len(self.labels)} labels and "
                f"{len(self.scores)} scores; expected as many of each."
            )
        if len(self.origins) not in {0, len(self.image_ids)}:
            raise ValueError(f"{len(self.origins)} origins of {len(self.image_ids)} images.")
        if len(set(self.image_ids)) != len(self.image_ids):
            raise ValueError("An image id stands twice in a prediction set.")
        if not np.all((self.scores >= 0) & (self.scores <= 1)):
            raise ValueError("A score is outside 0..1.")

    def decisions(self, *, threshold: float) -> NDArray[np.bool_]:
        """True where a picture is called malignant: its score reaches the threshold."""
        return self.scores >= threshold

    def only(self, kept: NDArray[np.bool_]) -> "PredictionSet":
        """The pictures where `kept`, shape (n,), is true."""
        places = np.flatnonzero(kept)
        return PredictionSet(
            image_ids=tuple(self.image_ids[place] for place in places),
            labels=self.labels[places],
            scores=self.scores[places],
            origins=tuple(self.origins[place] for place in places) if self.origins else (),
        )

    def by_source(self) -> dict[str, "PredictionSet"]:
        """The pictures of each source, in the order of its name; none without origins."""
        sources = np.array([origin.source for origin in self.origins], dtype=object)
        return {name: self.only(sources == name) for name in sorted(set(sources))}


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
    """Ids, labels and origins from the records, scores in their order."""
    return PredictionSet(
        image_ids=tuple(record.image_id for record in records),
        labels=np.array([record.is_malignant for record in records], dtype=np.bool_),
        scores=scores,
        origins=tuple(map(origin_of, records)),
    )


def origin_of(record: LesionRecord) -> Origin:
    """A picture without a lesion id counts as a lesion of its own, with its copies."""
    lesion = record.lesion_id or record.cluster or record.image_id
    diagnosis = dict(record.attributes).get("diagnosis", "")
    return Origin(source=source_of(record), lesion=lesion, diagnosis=diagnosis)


def refuse_other_images(reference: PredictionSet, candidate: PredictionSet) -> None:
    """A comparison image by image needs the same pictures, in the same order, with equal labels."""
    same = np.array_equal(reference.labels, candidate.labels)
    if reference.image_ids != candidate.image_ids or not same:
        raise EdgeMelanomaError(
            "The two prediction sets are of different images; score both models on the same ones."
        )


def predictions_to_csv(predictions: PredictionSet) -> str:
    """Lines of image_id,is_malignant,score, and of source,lesion,diagnosis where they are known.

    Scores have 17 digits, so that they read back equal.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    origins = predictions.origins or [()] * len(predictions.labels)
    writer.writerow((*COLUMNS, *(Origin._fields if predictions.origins else ())))
    labels, scores = predictions.labels.astype(int), map(repr, predictions.scores.tolist())
    for image_id, label, score, origin in zip(
        predictions.image_ids, labels, scores, origins, strict=True
    ):
        writer.writerow(map(cell_text, (image_id, label, score, *origin)))
    return stream.getvalue()


def read_predictions(path: Path) -> PredictionSet:
    """The inverse of `predictions_to_csv`."""
    text = read_bounded(path, most=LARGEST_LIST_BYTES).decode("utf-8")
    reader = csv.DictReader(io.StringIO(text, newline=""))
    known = set(Origin._fields) <= set(reader.fieldnames or ())
    rows = list(reader)
    return PredictionSet(
        image_ids=tuple(text_of_cell(row["image_id"]) for row in rows),
        labels=np.array([row["is_malignant"] == "1" for row in rows], dtype=np.bool_),
        scores=np.array([float(row["score"]) for row in rows], dtype=np.float64),
        origins=tuple(
            Origin(*(text_of_cell(row[name]) for name in Origin._fields)) for row in rows if known
        ),
    )


def explain_equal(scores: Sequence[float]) -> Iterator[str]:
    """A sentence where several pictures all have one score."""
    if len(scores) > 1 and len(set(scores)) == 1:
        yield (
            f"All {len(scores)} pictures have the same score, {scores[0]:g}: usually such a model "
            f"is given other numbers than those it was trained on (see --input-range), or has lost "
            f"its weights."
        )


def explain_reversed(measured: Mapping[str, Any]) -> Iterator[str]:
    """A sentence where the AUC is below a half, by what `measure_set` gives."""
    low, high = measured["intervals"].get("auc") or (0.0, 1.0)
    if high < 0.5:
        yield (
            f"The AUC's 95 % interval, {low:.3f} .. {high:.3f}, lies below 0.5: usually the score "
            f"is that of the benign class (see --malignant-index), or the labels of the pictures "
            f"are swapped."
        )
