"""How well melanomas are told from benign lesions within each source, and across sources.

A pooled AUC counts pairs of a melanoma of one clinic and a mole of another too, which a network
that has only learned to tell the clinics orders rightly. What stands here first is measured within
sources that have both classes; the matrix shows what pairs across sources would add.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.clinics import LEAST_JUDGED
from edge_melanoma.evaluation.metrics import (
    BOOTSTRAP_RESAMPLES,
    BOOTSTRAP_SEED,
    CONFIDENCE,
    Interval,
    wilson_interval,
)
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.evaluation.reliability import expected_calibration_error

CARCINOMAS = frozenset({"bcc", "akiec", "scc"})
"""Malignant and no melanomas: they are counted apart."""

KERATOSES = frozenset({"bkl"})

Numbers = NDArray[np.float64]


def measure_within(predictions: PredictionSet, *, threshold: float) -> dict[str, Any]:
    """What `evaluate --json` says of the sources; nothing where origins are not known.

    `within_source` has, by name, the AUC of the source's melanomas against its benign lesions,
    recall and specificity at `threshold` and the calibration error of all its pictures. A source
    with fewer than 10 of a class is shown and not judged. `macro_auc`, `macro_recall` and
    `macro_specificity` are means over the judged ones. Intervals of AUCs are 95 % percentiles of
    1,000 resamplings of lesions, each class for itself; those of shares are Wilson's.
    """
    if not predictions.origins:
        return {}
    melanomas = without_carcinomas(predictions)
    inside, samples = {}, []
    for name in sorted({origin.source for origin in predictions.origins}):
        found, drawn = _measure_source(name, predictions, melanomas, threshold)
        inside[name] = found
        samples += [drawn] if found["judged"] else []
    judged = [found for found in inside.values() if found["judged"]]
    told: dict[str, Any] = {"within_source": inside}
    for metric in ("auc", "recall", "specificity"):
        values = [found[metric] for found in judged]
        told[f"macro_{metric}"] = float(np.mean(values)) if judged else None
    told["macro_auc_interval"] = _percentiles(np.mean(samples, axis=0)) if judged else None
    told["melanoma_against_keratosis"] = _against_keratosis(melanomas)
    if len(inside) > 1:
        told["source_matrix"] = measure_matrix(melanomas)
    return told


def shares_within(predictions: PredictionSet, *, threshold: float) -> dict[str, dict[str, Any]]:
    """Recall and specificity of melanomas within each source, by its name, without resampling."""
    melanomas = without_carcinomas(predictions)
    sources = _sources(melanomas)
    return {
        name: _shares(melanomas.only(sources == name), threshold) for name in sorted(set(sources))
    }


def without_carcinomas(predictions: PredictionSet) -> PredictionSet:
    """The melanomas and what is benign."""
    kept = [origin.diagnosis not in CARCINOMAS for origin in predictions.origins]
    return predictions.only(np.array(kept, dtype=np.bool_)) if predictions.origins else predictions


def auc_within(
    scores: Numbers, labels: NDArray[np.generic], sources: Sequence[str]
) -> dict[str, float]:
    """The AUC inside each source that has both classes, by its name."""
    told, positive = np.array(sources, dtype=object), np.asarray(labels) > 0
    parts = {name: told == name for name in sorted(set(sources))}
    return {
        name: _auc(scores[here], positive[here])
        for name, here in parts.items()
        if 0 < positive[here].sum() < here.sum()
    }


def measure_matrix(predictions: PredictionSet) -> dict[str, dict[str, float]]:
    """The AUC of each source's melanomas against each source's benign lesions, by both names.

    What has fewer than 10 of a class is left out.
    """
    of, labels = _sources(predictions), predictions.labels
    names = sorted(set(of))
    malignant = {name: predictions.scores[(of == name) & labels] for name in names}
    benign = {name: predictions.scores[(of == name) & ~labels] for name in names}
    return {
        one: {
            other: _auc_between(malignant[one], benign[other])
            for other in names
            if len(benign[other]) >= LEAST_JUDGED
        }
        for one in names
        if len(malignant[one]) >= LEAST_JUDGED
    }


def _measure_source(
    name: str, predictions: PredictionSet, melanomas: PredictionSet, threshold: float
) -> tuple[dict[str, Any], Numbers]:
    """The figures of one source, and the AUCs of its resamplings where it is judged."""
    own = predictions.only(_sources(predictions) == name)
    alone = melanomas.only(_sources(melanomas) == name)
    shares = _shares(alone, threshold)
    malignant, benign = shares["malignant"], shares["benign"]
    found: dict[str, Any] = {
        "malignant": malignant,
        "benign": benign,
        "judged": min(malignant, benign) >= LEAST_JUDGED,
        "auc": _auc(alone.scores, alone.labels) if malignant and benign else None,
        "interval": None,
        **shares,
    }
    found["calibration_error"] = expected_calibration_error(own.scores, own.labels.astype(float))
    if carcinomas := int(own.labels.sum()) - malignant:
        kept = np.array([origin.diagnosis in CARCINOMAS for origin in own.origins]) & own.labels
        recall = float(own.decisions(threshold=threshold)[kept].mean())
        found["carcinomas"] = {"images": carcinomas, "recall": recall}
    # Sources are drawn apart, or what is chance in two of them would be the same chance.
    random = np.random.default_rng([BOOTSTRAP_SEED, *name.encode()])
    drawn = _resampled_aucs(alone, random) if found["judged"] else np.array([])
    if found["judged"]:
        found["interval"] = _percentiles(drawn)
    return found, drawn


def _shares(alone: PredictionSet, threshold: float) -> dict[str, Any]:
    """Numbers of both classes of one source, and what of each is decided rightly."""
    called, labels = alone.decisions(threshold=threshold), alone.labels
    malignant, benign = int(labels.sum()), int((~labels).sum())
    found: dict[str, Any] = {"malignant": malignant, "benign": benign}
    for metric, right, of in (
        ("recall", int((called & labels).sum()), malignant),
        ("specificity", int((~called & ~labels).sum()), benign),
    ):
        found[metric] = right / of if of else None
        found[f"{metric}_interval"] = wilson_interval(right, of) if of else None
    return found


def _sources(predictions: PredictionSet) -> NDArray[np.object_]:
    return np.array([origin.source for origin in predictions.origins], dtype=object)


def _against_keratosis(melanomas: PredictionSet) -> dict[str, Any] | None:
    """Within the sources that have both: pairs of one source, counted together."""
    keratoses = np.array([origin.diagnosis in KERATOSES for origin in melanomas.origins])
    kept = melanomas.only(melanomas.labels | keratoses)
    sources = _sources(kept)
    pairs = right = malignant = benign = 0.0
    for name in set(sources):
        sick = kept.scores[(sources == name) & kept.labels]
        well = kept.scores[(sources == name) & ~kept.labels]
        if len(sick) and len(well):
            right += _auc_between(sick, well) * len(sick) * len(well)
            pairs += len(sick) * len(well)
            malignant, benign = malignant + len(sick), benign + len(well)
    if not pairs:
        return None
    return {"auc": right / pairs, "malignant": int(malignant), "keratoses": int(benign)}


def _auc_between(malignant: Numbers, benign: Numbers) -> float:
    labels = np.repeat([True, False], [len(malignant), len(benign)])
    return _auc(np.concatenate([malignant, benign]), labels)


def _auc(scores: Numbers, labels: NDArray[np.bool_]) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, scores))


def _resampled_aucs(predictions: PredictionSet, random: np.random.Generator) -> Numbers:
    """AUCs of resamplings of whole lesions, each class for itself, shape (1000,); ties half."""
    _, places = np.unique(predictions.scores, return_inverse=True)
    totals = []
    for wanted in (True, False):
        chosen = np.flatnonzero(predictions.labels == wanted)
        _, lesion = np.unique(
            [predictions.origins[place].lesion for place in chosen], return_inverse=True
        )
        lesions = int(lesion.max()) + 1
        times = random.multinomial(lesions, np.full(lesions, 1 / lesions), BOOTSTRAP_RESAMPLES)
        size = int(places.max()) + 1
        at_score = [np.bincount(places[chosen], row[lesion], size) for row in times]
        totals.append(np.stack(at_score))
    malignant, benign = totals
    below = np.cumsum(benign, axis=1) - benign / 2
    aucs: Numbers = (malignant * below).sum(1) / (malignant.sum(1) * benign.sum(1))
    return aucs


def _percentiles(samples: Numbers) -> Interval:
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(samples, [tail, 100 - tail])
    return float(low), float(high)
