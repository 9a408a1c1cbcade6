"""The area under the ROC curve and its part above 80 % recall, for many weightings at once."""

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.evaluation.predictions import PredictionSet

MIN_RECALL = 0.8
"""Below it a classifier is of no use as a first look: the ISIC 2024 challenge's choice."""

Weights = NDArray[np.integer]


def partial_auc(predictions: PredictionSet) -> float:
    """The area between the ROC curve and the line of 80 % recall: 0..0.2, 0.02 by chance.

    That is the integral of 1 - false alarm rate over recalls from 0.8 to 1, tied scores being
    joined by a straight line; not rescaled. The primary score of the ISIC 2024 challenge
    (Kurtansky et al., Scientific Data 11, 2024).
    """
    ones = np.ones((len(predictions.labels), 1), dtype=np.int64)
    _, part = roc_areas(predictions.labels, predictions.scores, ones)
    return float(part[0])


def roc_areas(
    labels: NDArray[np.bool_], scores: NDArray[np.float64], weights: Weights
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """AUC and partial AUC of each column of `weights`, shape (images, columns).

    A weight is how often an image counts; each class needs one weight above 0 in every column.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    sorted_weights = weights[order]
    called = _cumulated(sorted_weights, ends)
    true = _cumulated(sorted_weights * labels[order, np.newaxis], ends)
    recall = true / true[-1]
    alarms = (called - true) / (called - true)[-1]
    return _area(recall, alarms), _area_above(recall, alarms, MIN_RECALL)


def _cumulated(weights: Weights, ends: NDArray[np.integer]) -> NDArray[np.float64]:
    """Sums down to the last image of each score, below a first row of zeros."""
    sums = np.cumsum(weights, axis=0)[ends]
    return np.vstack([np.zeros((1, weights.shape[1])), sums])


def _area(recall: NDArray[np.float64], alarms: NDArray[np.float64]) -> NDArray[np.float64]:
    steps = np.diff(alarms, axis=0) * (recall[1:] + recall[:-1])
    area: NDArray[np.float64] = steps.sum(axis=0) / 2
    return area


def _area_above(
    recall: NDArray[np.float64], alarms: NDArray[np.float64], floor: float
) -> NDArray[np.float64]:
    """Each straight piece of the curve, cut off below `floor`."""
    rise = np.diff(recall, axis=0)
    start = np.clip(recall[:-1], floor, None)
    height = np.clip(recall[1:] - start, 0.0, None)
    share = np.divide(start - recall[:-1], rise, out=np.zeros_like(rise), where=rise > 0)
    alarms_at_start = alarms[:-1] + share * np.diff(alarms, axis=0)
    pieces = height * (1 - (alarms_at_start + alarms[1:]) / 2)
    area: NDArray[np.float64] = pieces.sum(axis=0)
    return area
