"""Shares and areas that say how good a classifier is, each with an interval.

Malignant is the positive class. A metric that is undefined is an error here, never 0 or 1.
scikit-learn and scipy are imported when needed: they cost 1.5 s of start-up.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import PredictionSet

CONFIDENCE = 0.95
BOOTSTRAP_RESAMPLES = 1000
BOOTSTRAP_SEED = 20_260_101

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusionCounts:
    """Numbers of pictures by truth and decision."""

    true_positive: int
    false_negative: int
    false_positive: int
    true_negative: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Shares in 0..1 at one threshold, and the area under the ROC curve, which has none.

    Precision is none where nothing is called malignant: it is undefined there.
    """

    recall: float
    specificity: float
    precision: float | None
    f1: float
    accuracy: float
    auc: float

    def as_dict(self) -> dict[str, float | None]:
        """The metrics by name, recall first."""
        return asdict(self)


def count_confusions(predictions: PredictionSet, *, threshold: float) -> ConfusionCounts:
    """The four counts of the confusion matrix."""
    decided, labels = predictions.decisions(threshold=threshold), predictions.labels
    return ConfusionCounts(
        true_positive=int(np.sum(decided & labels)),
        false_negative=int(np.sum(~decided & labels)),
        false_positive=int(np.sum(decided & ~labels)),
        true_negative=int(np.sum(~decided & ~labels)),
    )


def measure(predictions: PredictionSet, *, threshold: float) -> Metrics:
    """All metrics of a prediction set at `threshold`.

    Raises:
        EdgeMelanomaError: one class is missing, so that recall or specificity is undefined.
    """
    malignant = int(predictions.labels.sum())
    benign = len(predictions.labels) - malignant
    if not malignant or not benign:
        raise EdgeMelanomaError(
            f"{benign} benign and {malignant} malignant images: recall and specificity need "
            f"at least one image of each class."
        )
    counts = count_confusions(predictions, threshold=threshold)
    shares = {name: right / of for name, (right, of) in shares_of(counts).items() if of}
    return Metrics(
        precision=shares.pop("precision", None),
        **shares,
        f1=2 * counts.true_positive / (malignant + counts.true_positive + counts.false_positive),
        auc=area_under_roc(predictions.scores, predictions.labels),
    )


def shares_of(counts: ConfusionCounts) -> dict[str, tuple[int, int]]:
    """What is right of how many, by the name of the share."""
    right = counts.true_positive + counts.true_negative
    return {
        "recall": (counts.true_positive, counts.true_positive + counts.false_negative),
        "specificity": (counts.true_negative, counts.true_negative + counts.false_positive),
        "accuracy": (right, right + counts.false_positive + counts.false_negative),
        "precision": (counts.true_positive, counts.true_positive + counts.false_positive),
    }


def area_under_roc(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    """The chance that a malignant picture scores above a benign one, ties counted half."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, scores))


def measure_intervals(predictions: PredictionSet, *, threshold: float) -> dict[str, Interval]:
    """95 % intervals: Wilson's for shares, DeLong's for the AUC, a bootstrap for F1.

    The bootstrap is seeded and stratified by class.
    """
    shares = shares_of(count_confusions(predictions, threshold=threshold))
    intervals = {name: wilson_interval(right, of) for name, (right, of) in shares.items() if of}
    intervals["f1"] = _f1_interval(predictions, threshold=threshold)
    return intervals | {"auc": delong_interval(predictions.scores, predictions.labels)}


def wilson_interval(successes: int, trials: int) -> Interval:
    """Wilson's score interval of a share (E. B. Wilson, 1927)."""
    from scipy.stats import binomtest

    result = binomtest(successes, trials).proportion_ci(CONFIDENCE, method="wilson")
    return float(result.low), float(result.high)


def delong_interval(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> Interval:
    """That of the AUC by DeLong's variance (1988), on the logit scale, which keeps it inside 0..1.

    Of pictures that are all ranked rightly, or all wrongly, the variance would be zero however few
    they are. The bound is then the exact one of as many independent pairs as the rarer class has
    pictures, each of which is ranked so (Clopper and Pearson, 1934).
    """
    malignant, benign = placements(scores, labels)
    area = float(malignant.mean())
    tail = (1 - CONFIDENCE) / 2
    if area in (0.0, 1.0):
        bound = tail ** (1 / min(len(malignant), len(benign)))
        return (bound, 1.0) if area else (0.0, 1 - bound)
    if min(len(malignant), len(benign)) < 2:
        return 0.0, 1.0
    from scipy.special import expit, logit
    from scipy.stats import norm

    variance = sum(float(np.var(one, ddof=1)) / len(one) for one in (malignant, benign))
    reach = norm.ppf(1 - tail) * math.sqrt(variance) / (area * (1 - area))
    return float(expit(logit(area) - reach)), float(expit(logit(area) + reach))


def placements(
    scores: NDArray[np.float64], labels: NDArray[np.bool_], *, min_recall: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What each malignant picture adds to the area above `min_recall`, and each benign one.

    Of the whole area that is the share of the others that it is ranked rightly against, ties half.
    """
    malignant, benign = scores[labels], scores[~labels]
    highest = np.quantile(malignant, 1 - min_recall, keepdims=True)
    counted = malignant <= highest
    below = _share_below(benign, malignant) - (_share_below(benign, highest) if min_recall else 0.0)
    above = (1 - _share_below(malignant[counted], benign)) * counted.mean()
    return np.where(counted, below, 0.0), above


def _share_below(others: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    ordered = np.sort(others)
    left = np.searchsorted(ordered, scores, side="left")
    share: NDArray[np.float64] = (left + np.searchsorted(ordered, scores, side="right")) / 2
    return share / len(ordered)


def _f1_interval(predictions: PredictionSet, *, threshold: float) -> Interval:
    random = np.random.default_rng(BOOTSTRAP_SEED)
    decided = predictions.decisions(threshold=threshold)
    positive, negative = decided[predictions.labels], decided[~predictions.labels]
    found = random.binomial(len(positive), positive.mean(), BOOTSTRAP_RESAMPLES)
    alarms = random.binomial(len(negative), negative.mean(), BOOTSTRAP_RESAMPLES)
    return percentile_interval(2 * found / (len(positive) + found + alarms))


def percentile_interval(samples: Sequence[float] | NDArray[np.float64]) -> Interval:
    """The middle 95 % of resamplings."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(samples, (tail, 1 - tail))
    return float(low), float(high)
