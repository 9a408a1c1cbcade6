"""The operating point: the threshold that reaches a recall, chosen on validation alone."""

from dataclasses import dataclass

import numpy as np

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.metrics import Interval, count_confusions, wilson_interval
from edge_melanoma.predictions import PredictionSet

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
    """The highest threshold whose recall on validation is at least `min_recall`.

    The highest, because among the thresholds that miss no more melanomas it raises the fewest false
    alarms. It lies half-way to the next lower score, so that rounding cannot lose the picture that
    decides it.

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
