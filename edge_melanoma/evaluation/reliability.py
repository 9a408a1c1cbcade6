"""Whether scores are probabilities: of the pictures that score 0.8, are 80 % malignant?

And how they are made so at the end of a training, inside the last layer of the network: by
temperature scaling (Guo et al., 2017), with an offset (Platt, 1999) where validation shows that it
helps. The order of the scores stays, and with it the AUC; the phone has nothing to compute. Not to
be confused with `converters.calibration`, which measures ranges of activations for int8.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.clinics import count_sources, source_of
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.evaluation import metrics
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.tflite.quantization import SCORE_NAME, logit, sigmoid

BINS = 15
"""Of equal width, as those of Guo et al. (2017), so that figures can be set beside published ones.

Bins of equal mass would divide the crowds at 0 and at 1, and lump together the scores between them,
where a threshold lies.
"""
EDGES = np.linspace(0.0, 1.0, BINS + 1)

SMALLEST_SCORE = 1e-7
"""Scores are float32: what is nearer to 1 has no logit of its own."""
SLOPES, OFFSETS = (1 / 16, 4.0), (-4.0, 4.0)
"""Bounds of the fit: classes that validation separates would drive the slope to infinity."""
FOLDS, FOLD_SEED = 10, 20_260_101

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """How far scores are from shares of malignant pictures.

    `ece` is the expected calibration error: the distance of mean score and malignant share in a bin
    of P(malignant), averaged over the images. It is above zero by chance alone: `ece_if_perfect` is
    its mean, and `ece_if_perfect_upper95` its 95 % quantile, where every picture is malignant with
    the very probability that its score says. `brier` is the mean squared error of the scores. A
    bin holds the images that score from its low to below its high end, and their means, if any.
    """

    ece: float
    ece_interval: metrics.Interval
    ece_if_perfect: float
    ece_if_perfect_upper95: float
    brier: float
    bins: tuple[dict[str, Any], ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure_reliability(predictions: PredictionSet) -> Reliability:
    """ECE with a 95 % interval and what chance alone gives, Brier score and the bins.

    The interval is the basic bootstrap's (2 ECE - quantiles). It reaches down to 0 where the ECE is
    no more than `ece_if_perfect_upper95`, and up to the ECE at least. The percentile bootstrap has
    the bias of the ECE twice: simulated with 1,000 images it held a true ECE of .019 in 10 % of
    trials and one of 0 in none, this interval in 88 % and 93 %.
    """
    scores, labels = predictions.scores, predictions.labels.astype(np.float64)
    places, count = _places(scores), len(scores)
    random = np.random.default_rng(metrics.BOOTSTRAP_SEED)
    ece = expected_calibration_error(scores, labels)

    draws = (random.integers(0, count, count) for _ in range(metrics.BOOTSTRAP_RESAMPLES))
    bootstrapped = [_distance(places[drawn], (scores - labels)[drawn]) for drawn in draws]
    perfect = [
        _distance(places, scores - (random.random(count) < scores))
        for _ in range(metrics.BOOTSTRAP_RESAMPLES)
    ]
    tail = (1 - metrics.CONFIDENCE) / 2
    low, high = (2 * ece - np.quantile(bootstrapped, share) for share in (1 - tail, tail))
    upper = float(np.quantile(perfect, metrics.CONFIDENCE))
    return Reliability(
        ece=ece,
        ece_interval=(0.0 if ece <= upper else max(0.0, float(low)), max(ece, float(high))),
        ece_if_perfect=float(np.mean(perfect)),
        ece_if_perfect_upper95=upper,
        brier=float(np.mean((scores - labels) ** 2)),
        bins=tuple(_bins(scores, labels, places)),
    )


def describe_reliability(told: Mapping[str, Any]) -> str:
    """A line for a person, of what `Reliability.as_dict` gives."""
    low, high = told["ece_interval"]
    return (
        f"calibration error (ECE, {BINS} bins) {told['ece']:.4f}, 95 % interval {low:.4f} .. "
        f"{high:.4f}; perfect probabilities would show {told['ece_if_perfect']:.4f} by chance; "
        f"Brier score {told['brier']:.4f}"
    )


def expected_calibration_error(
    scores: Numbers, labels: NDArray[np.float64], *, weights: Numbers | None = None
) -> float:
    """The ECE of P(malignant), shape (n,), and labels 0 or 1; images may have weights."""
    return _distance(_places(scores), scores - labels, weights)


def _distance(places: NDArray[np.intp], excess: Numbers, weights: Numbers | None = None) -> float:
    """sum over bins of |sum of (score - label)|, a share of the images: the ECE, by its algebra."""
    weights = np.ones(len(excess)) if weights is None else weights
    return float(np.abs(np.bincount(places, weights=excess * weights)).sum() / weights.sum())


def _places(scores: Numbers) -> NDArray[np.intp]:
    """The number of each score's bin, from 0; a score on an edge belongs to the bin above it."""
    return np.searchsorted(EDGES[1:-1], scores, side="right")


def _bins(scores: Numbers, labels: Numbers, places: NDArray[np.intp]) -> Iterator[dict[str, Any]]:
    for number, (low, high) in enumerate(pairwise(EDGES.tolist())):
        inside = places == number
        images = int(inside.sum())
        means = [float(v[inside].mean()) if images else None for v in (scores, labels)]
        told = {"low": low, "high": high, "images": images}
        yield {**told, "mean_score": means[0], "malignant_share": means[1]}


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


def fit_scaling(
    validation: PredictionSet, *, records: Sequence[LesionRecord]
) -> tuple[TemperatureScaling, dict[str, Any]]:
    """The scaling with the least log loss on validation, and what a manifest says of it.

    `records` are those of the scores. All sources with both classes weigh alike, and others nothing
    where there is such a one; `weights` are those of an image of each source. An offset is used
    where it lowers the log loss of images that a fold held out by more than one standard error.
    """
    weights = _source_weights(records)
    labels = validation.labels.astype(np.float64)
    logits = _logits(validation.scores)
    gain, error = _offset_gain(logits, labels, weights)
    scaling = _fit(logits, labels, weights, with_offset=gain > error)
    scaled = scaling.apply(validation.scores)
    used = "more than one error" if scaling.offset else "no more than one error: it is left out"
    sources = map(source_of, records)
    return scaling, {
        **asdict(scaling),
        "side": "validation",
        "why": f"in {FOLDS} folds of validation an offset lowers the log loss by {gain:.5f} "
        f"(standard error {error:.5f}), {used}",
        "images": int(np.sum(weights > 0)),
        "ece_before": expected_calibration_error(validation.scores, labels, weights=weights),
        "ece_after": expected_calibration_error(scaled, labels, weights=weights),
        "log_loss_before": float(np.average(_log_losses(logits, labels), weights=weights)),
        "log_loss_after": float(np.average(_log_losses(_logits(scaled), labels), weights=weights)),
        "offset_gain": gain,
        "offset_gain_error": error,
        "weights": {s: w for s, w in zip(sources, weights.tolist(), strict=True) if s},
    }


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
