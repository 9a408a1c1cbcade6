"""Scores made probabilities at the end of a training, inside the network's last layer.

Temperature scaling (Guo et al., 2017), with an offset (Platt, 1999) where validation shows that it
helps. The order of the scores stays, and with it the AUC; the phone has nothing to compute.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.clinics import count_sources, source_of
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.evaluation.reliability import expected_calibration_error
from edge_melanoma.tflite.quantization import SCORE_NAME, logit, sigmoid

SMALLEST_SCORE = 1e-7
"""Scores are float32: what is nearer to 1 has no logit of its own."""
SLOPES, OFFSETS = (0.25, 4.0), (-4.0, 4.0)
"""Bounds of the fit: classes that validation separates would drive the slope to infinity."""
FOLDS, FOLD_SEED = 10, 20_260_101

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TemperatureScaling:
    """P(malignant) = sigmoid(logit / temperature + offset)."""

    temperature: float
    offset: float

    def apply(self, scores: Numbers) -> Numbers:
        """What scores of shape (n,) become."""
        return sigmoid(_logits(scores) / self.temperature + self.offset)

    def fold_into(self, network: Any) -> None:
        """Change the last layer's weights so that the network itself gives the scaled scores."""
        layer = network.get_layer(SCORE_NAME)
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel / self.temperature, bias / self.temperature + self.offset])


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedScaling:
    """A scaling, how it was fitted, and what it does to the images that it was fitted on.

    `offset_gain` is what an offset takes off the log loss of images that a fold held out, and
    `offset_gain_error` its standard error. `weights` are those of an image of each data set.
    """

    scaling: TemperatureScaling
    images: int
    ece_before: float
    ece_after: float
    log_loss_before: float
    log_loss_after: float
    offset_gain: float
    offset_gain_error: float
    weights: dict[str, float]

    def describe(self) -> str:
        """A line for a person."""
        return (
            f"Calibrated on {self.images} validation images: temperature "
            f"{self.scaling.temperature:.3f}, offset {self.scaling.offset:+.3f}, calibration error "
            f"{self.ece_before:.4f} -> {self.ece_after:.4f}."
        )

    def as_dict(self) -> dict[str, Any]:
        """For the run's manifest."""
        told = asdict(self)
        one_error = "more than one error"
        used = one_error if self.scaling.offset else f"no {one_error}: it is left out"
        why = (
            f"in {FOLDS} folds of validation an offset lowers the log loss by "
            f"{self.offset_gain:.5f} (standard error {self.offset_gain_error:.5f}), {used}"
        )
        return {**told.pop("scaling"), "side": "validation", "why": why, **told}


def fit_scaling(validation: PredictionSet, *, records: Sequence[LesionRecord]) -> FittedScaling:
    """The scaling with the least log loss on validation, whose `records` are those of the scores.

    All sources with both classes weigh alike, and others nothing where there is such a one. An
    offset is used where it lowers the log loss of held-out images by more than one standard error.
    """
    weights = _source_weights(records)
    labels = validation.labels.astype(np.float64)
    logits = _logits(validation.scores)
    gain, error = _offset_gain(logits, labels, weights)
    scaling = _fit(logits, labels, weights, with_offset=gain > error)
    scaled = scaling.apply(validation.scores)
    sources = map(source_of, records)
    return FittedScaling(
        scaling=scaling,
        images=int(np.sum(weights > 0)),
        ece_before=expected_calibration_error(validation.scores, labels, weights=weights),
        ece_after=expected_calibration_error(scaled, labels, weights=weights),
        log_loss_before=float(np.average(_log_losses(logits, labels), weights=weights)),
        log_loss_after=float(np.average(_log_losses(_logits(scaled), labels), weights=weights)),
        offset_gain=gain,
        offset_gain_error=error,
        weights={s: w for s, w in zip(sources, weights.tolist(), strict=True) if s},
    )


def _logits(scores: Numbers) -> Numbers:
    return logit(scores.clip(SMALLEST_SCORE, 1 - SMALLEST_SCORE))


def _source_weights(records: Sequence[LesionRecord]) -> Numbers:
    """Shape (n,), mean 1."""
    whole = {name: sum(counts) for name, counts in count_sources(records).items() if all(counts)}
    if not whole:
        return np.ones(len(records))
    each = len(records) / len(whole)
    names = map(source_of, records)
    return np.array([each / whole[name] if name in whole else 0.0 for name in names])


def _log_losses(logits: Numbers, labels: Numbers) -> Numbers:
    """Each image's, in nats; without overflow for any logit."""
    return np.asarray(np.logaddexp(0.0, logits) - labels * logits)


def _fit(
    logits: Numbers, labels: Numbers, weights: Numbers, *, with_offset: bool
) -> TemperatureScaling:
    from scipy.optimize import minimize

    def loss(parameters: Numbers) -> tuple[float, Numbers]:
        slope, offset = parameters
        scaled = slope * logits + offset
        excess = weights * (sigmoid(scaled) - labels)
        total = weights.sum()
        value = float(np.sum(weights * _log_losses(scaled, labels)) / total)
        return value, np.array([np.sum(excess * logits), np.sum(excess)]) / total

    bounds = (SLOPES, OFFSETS if with_offset else (0.0, 0.0))
    # The loss is convex, so that one start is enough.
    slope, offset = minimize(loss, np.array([1.0, 0.0]), jac=True, bounds=bounds).x
    return TemperatureScaling(temperature=float(1 / slope), offset=float(offset))


def _offset_gain(logits: Numbers, labels: Numbers, weights: Numbers) -> tuple[float, float]:
    """Mean drop of the log loss on held-out images by an offset, and its standard error."""
    random = np.random.default_rng(FOLD_SEED)
    folds = np.empty(len(labels), dtype=np.int64)
    for label in (0.0, 1.0):
        members = random.permutation(np.flatnonzero(labels == label))
        folds[members] = np.arange(len(members)) % FOLDS
    gains = np.zeros(len(labels))
    for fold in range(FOLDS):
        rest, held = folds != fold, folds == fold
        for with_offset, sign in ((False, 1), (True, -1)):
            fitted = _fit(logits[rest], labels[rest], weights[rest], with_offset=with_offset)
            scaled = logits[held] / fitted.temperature + fitted.offset
            gains[held] += sign * _log_losses(scaled, labels[held])
    gains *= weights  # their mean is 1
    return float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(len(gains)))
