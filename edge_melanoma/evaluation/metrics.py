"""Shares and areas that say how good a classifier is, each with an interval.

Malignant is the positive class. A metric that is undefined is an error here, never 0 or 1.
scikit-learn and scipy are imported when needed: they cost 1.5 s of start-up.
"""

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
    """Shares in 0..1 at one threshold, and the area under the ROC curve, which has none."""

    recall: float
    specificity: float
    precision: float
    f1: float
    accuracy: float
    auc: float

    def as_dict(self) -> dict[str, float]:
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

    Precision counts as 0 when nothing is called malignant, as the F1 score then is.

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
    shares = shares_of(counts)
    return Metrics(
        **{name: right / of if of else 0.0 for name, (right, of) in shares.items()},
        f1=2 * counts.true_positive / (malignant + shares["precision"][1]),
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
    """95 % intervals: Wilson's for shares, a stratified seeded bootstrap for F1 and AUC."""
    shares = shares_of(count_confusions(predictions, threshold=threshold))
    intervals = {name: wilson_interval(right, of) for name, (right, of) in shares.items() if of}
    return intervals | _bootstrap_intervals(predictions, threshold=threshold)


def wilson_interval(successes: int, trials: int) -> Interval:
    """Wilson's score interval of a share (E. B. Wilson, 1927)."""
    from scipy.stats import binomtest

    result = binomtest(successes, trials).proportion_ci(CONFIDENCE, method="wilson")
    return float(result.low), float(result.high)


def _bootstrap_intervals(predictions: PredictionSet, *, threshold: float) -> dict[str, Interval]:
    from scipy.stats import rankdata

    random = np.random.default_rng(BOOTSTRAP_SEED)
    positive = predictions.scores[predictions.labels]
    negative = predictions.scores[~predictions.labels]
    samples: dict[str, list[float]] = {"f1": [], "auc": []}
    for _ in range(BOOTSTRAP_RESAMPLES):
        drawn_positive = random.choice(positive, len(positive))
        drawn_negative = random.choice(negative, len(negative))
        ranks = rankdata(np.concatenate([drawn_positive, drawn_negative]))[: len(positive)]
        rank_sum = ranks.sum() - len(positive) * (len(positive) + 1) / 2
        samples["auc"].append(rank_sum / (len(positive) * len(negative)))
        found, alarms = ((drawn >= threshold).sum() for drawn in (drawn_positive, drawn_negative))
        samples["f1"].append(2 * found / (len(positive) + found + alarms))
    return {name: percentile_interval(values) for name, values in samples.items()}


def percentile_interval(samples: Sequence[float] | NDArray[np.float64]) -> Interval:
    """The middle 95 % of resamplings."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(samples, (tail, 1 - tail))
    return float(low), float(high)
