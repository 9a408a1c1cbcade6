"""The operating point: the threshold that reaches a recall, chosen on validation alone."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.metrics import Interval, count_confusions, wilson_interval
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.tflite.quantization import ScoreTensor

DEFAULT_MIN_RECALL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """A threshold and what it does on the validation side; shares in 0..1."""

    threshold: float
    min_recall: float
    recall: float
    recall_interval: Interval
    specificity: float
    malignant: int
    benign: int
    source: str = "validation"


def choose_operating_point(
    validation: PredictionSet, *, min_recall: float = DEFAULT_MIN_RECALL
) -> OperatingPoint:
    """The highest threshold, with the fewest false alarms, whose recall is at least `min_recall`.

    It lies half-way to the next lower score, so that rounding cannot lose the picture that decides.

    Raises:
        EdgeMelanomaError: `min_recall` is outside 0..1, or no malignant or no benign images.
    """
    if not 0 < min_recall <= 1:
        raise EdgeMelanomaError(
            f"--min-recall is {min_recall}; expected more than 0 and at most 1, such as 0.95."
        )
    malignant = np.sort(validation.scores[validation.labels])[::-1]
    benign = len(validation.labels) - len(malignant)
    if not len(malignant) or not benign:
        raise EdgeMelanomaError(
            f"{benign} benign and {len(malignant)} malignant validation images: an operating point "
            f"needs at least one image of each class."
        )
    # The small number keeps 0.95 * 20 from becoming 20 by the last bit of its product.
    needed = max(1, int(np.ceil(min_recall * len(malignant) - 1e-9)))
    deciding = malignant[needed - 1]
    lower = validation.scores[validation.scores < deciding]
    threshold = float((deciding + lower.max()) / 2 if len(lower) else deciding)
    counts = count_confusions(validation, threshold=threshold)
    return OperatingPoint(
        threshold=threshold,
        min_recall=min_recall,
        recall=counts.true_positive / len(malignant),
        recall_interval=wilson_interval(counts.true_positive, len(malignant)),
        specificity=counts.true_negative / benign,
        malignant=len(malignant),
        benign=benign,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOperatingPoint:
    """An operating point of an exported file, in its own output's numbers.

    A picture is malignant if the output is at least `integer`, or, which is the same, if its score
    is at least the threshold; a float output has no integer.
    """

    point: OperatingPoint
    integer: int | None
    output: ScoreTensor

    def as_dict(self) -> dict[str, Any]:
        """For manifests, the threshold first."""
        told = asdict(self.point)
        output = self.output.quantization.as_dict() | {"name": self.output.name}
        threshold = told.pop("threshold")
        return {"threshold": threshold, "integer": self.integer, "output": output, **told}


def snap_to_output(point: OperatingPoint, output: ScoreTensor) -> FileOperatingPoint:
    """The operating point of a file on the grid of its output; every decision stays.

    The threshold is put half-way between the scores of the integer and of the one below, so that
    the rounding of another language's arithmetic cannot tip a decision. Where even the lowest
    integer is malignant it is that one's score.

    Raises:
        ValueError: no score of the output reaches the threshold.
    """
    if output.quantization.is_float:
        return FileOperatingPoint(point=point, integer=None, output=output)
    dtype = np.dtype(output.quantization.dtype)
    integers = np.arange(np.iinfo(dtype).min, np.iinfo(dtype).max + 1)
    scores = output.scores(integers.astype(dtype))
    # Scores do not fall: the first that is reached, as several integers may share the score 1.
    first = int(np.searchsorted(scores, point.threshold, side="left"))
    if first == len(scores):
        raise ValueError(f"no score of the output reaches the threshold {point.threshold}")
    reached, missed = scores[first], scores[first - 1] if first else scores[0]
    between = (reached + missed) / 2
    # Of two neighbouring numbers the half-way one may be the lower.
    snapped = replace(point, threshold=float(between if between > missed else reached))
    return FileOperatingPoint(point=snapped, integer=int(integers[first]), output=output)
