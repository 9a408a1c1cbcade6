"""How far a drop could lie off by chance: the same pictures drawn again, for both models alike.

With the area under the ROC curve and its part above 80 % recall, for many weightings at once.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.evaluation.metrics import Interval
from edge_melanoma.evaluation.predictions import PredictionSet, refuse_other_images

RESAMPLES = 2000
SEED = 20_260_101
CHUNK = 200
"""Resamples worked on at once: 2,000 images then take 3 MB an array. Part of what is drawn."""
MIN_RECALL = 0.8
"""Below it a classifier is of no use as a first look: the ISIC 2024 challenge's choice."""

Weights = NDArray[np.integer]


def resample_drops(
    reference: PredictionSet,
    candidate: PredictionSet,
    *,
    threshold: float,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> dict[str, NDArray[np.float64]]:
    """A paired bootstrap, stratified: each resample has as many images of each class as the set.

    By metric, the drops (reference - candidate) of the resampled sets, shape (resamples,) each.
    Image and score pairs stay together, and equal seeds draw equal images for every candidate.

    Raises:
        EdgeMelanomaError: the sets are of different images.
    """
    refuse_other_images(reference, candidate)
    labels = reference.labels
    found = reference.decisions(threshold=threshold) == labels
    kept = candidate.decisions(threshold=threshold) == labels
    lost = found.astype(np.float64) - kept
    malignant, benign = np.where(labels, lost, 0.0), np.where(labels, 0.0, lost)
    parts = []
    for counts in _draw(labels, resamples=resamples, seed=seed):
        before = roc_areas(labels, reference.scores, counts)
        after = roc_areas(labels, candidate.scores, counts)
        shares = (malignant @ counts, benign @ counts)
        parts.append((*shares, before[0] - after[0], before[1] - after[1]))
    recall, specificity, auc, part = (np.concatenate(column) for column in zip(*parts, strict=True))
    return {
        "recall": recall / labels.sum(),
        "specificity": specificity / (~labels).sum(),
        "accuracy": (recall + specificity) / len(labels),
        "auc": auc,
        "partial_auc": part,
    }


def percentile_interval(samples: NDArray[np.float64]) -> Interval:
    """The 95 % percentile interval (Efron, 1981)."""
    low, high = np.quantile(samples, (0.025, 0.975))
    return float(low), float(high)


def upper_bound(samples: NDArray[np.float64]) -> float:
    """The one-sided 95 % upper bound: every margin above it has a `p_above` below 0.05."""
    beyond = math.ceil(0.05 * (len(samples) + 1) - 1) - 1
    return float(np.sort(samples)[len(samples) - 1 - max(beyond, 0)])


def p_above(samples: NDArray[np.float64], margin: float) -> float:
    """The share of resamples whose drop is `margin` or more, with one counted in advance."""
    return float((1 + np.sum(samples >= margin)) / (1 + len(samples)))


def _draw(labels: NDArray[np.bool_], *, resamples: int, seed: int) -> Iterator[NDArray[np.integer]]:
    """How often each image is drawn, in chunks of shape (images, resamples)."""
    random = np.random.default_rng(seed)
    for start in range(0, resamples, CHUNK):
        width = min(CHUNK, resamples - start)
        counts = np.zeros((len(labels), width), dtype=np.int32)
        for members in (np.flatnonzero(labels), np.flatnonzero(~labels)):
            size = len(members)
            drawn = random.integers(0, size, (size, width)) * width + np.arange(width)
            flat = np.bincount(drawn.ravel(), minlength=size * width)
            counts[members] = flat.reshape(size, width)
        yield counts


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
    area: NDArray[np.float64] = (np.diff(alarms, axis=0) * (recall[1:] + recall[:-1])).sum(axis=0)
    return area / 2, _area_above(recall, alarms, MIN_RECALL)


def _cumulated(weights: Weights, ends: NDArray[np.integer]) -> NDArray[np.float64]:
    """Sums down to the last image of each score, below a first row of zeros."""
    sums = np.cumsum(weights, axis=0)[ends]
    return np.vstack([np.zeros((1, weights.shape[1])), sums])


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
