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
from edge_melanoma.evaluation import metrics
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
    for name, own in predictions.by_source().items():
        inside[name], drawn = _measure_source(name, own, threshold)
        samples += drawn
    judged = [found for found in inside.values() if found["judged"]]
    told: dict[str, Any] = {"within_source": inside}
    for metric in ("auc", "recall", "specificity"):
        values = [found[metric] for found in judged]
        told[f"macro_{metric}"] = float(np.mean(values)) if judged else None
    told["macro_auc_interval"] = (
        metrics.percentile_interval(np.mean(samples, axis=0)) if judged else None
    )
    told["melanoma_against_keratosis"] = _against_keratosis(melanomas)
    if len(inside) > 1:
        told["source_matrix"] = measure_matrix(melanomas)
    return told


def shares_within(predictions: PredictionSet, *, threshold: float) -> dict[str, dict[str, Any]]:
    """Recall and specificity of melanomas within each source, by its name, without resampling."""
    melanomas = without_carcinomas(predictions).by_source()
    return {name: _shares(alone, threshold) for name, alone in melanomas.items()}


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
        name: metrics.area_under_roc(scores[here], positive[here])
        for name, here in parts.items()
        if 0 < positive[here].sum() < here.sum()
    }


def measure_matrix(predictions: PredictionSet) -> dict[str, dict[str, float]]:
    """The AUC of each source's melanomas against each source's benign lesions, by both names.

    What has fewer than 10 of a class is left out.
    """
    parts = predictions.by_source()
    malignant = {name: own.scores[own.labels] for name, own in parts.items()}
    benign = {name: own.scores[~own.labels] for name, own in parts.items()}
    return {
        one: {
            other: _auc_between(sick, well)
            for other, well in benign.items()
            if len(well) >= LEAST_JUDGED
        }
        for one, sick in malignant.items()
        if len(sick) >= LEAST_JUDGED
    }


def _measure_source(
    name: str, own: PredictionSet, threshold: float
) -> tuple[dict[str, Any], list[Numbers]]:
    """The figures of one source, and the AUCs of its resamplings where it is judged."""
    alone = without_carcinomas(own)
    shares = _shares(alone, threshold)
    malignant, benign = shares["malignant"], shares["benign"]
    found: dict[str, Any] = {
        "malignant": malignant,
        "benign": benign,
        "judged": min(malignant, benign) >= LEAST_JUDGED,
        "auc": None,
        "interval": None,
        **shares,
    }
    if malignant and benign:
        found["auc"] = metrics.area_under_roc(alone.scores, alone.labels)
    found["calibration_error"] = expected_calibration_error(own.scores, own.labels.astype(float))
    if carcinomas := int(own.labels.sum()) - malignant:
        kept = np.array([origin.diagnosis in CARCINOMAS for origin in own.origins]) & own.labels
        recall = float(own.decisions(threshold=threshold)[kept].mean())
        found["carcinomas"] = {"images": carcinomas, "recall": recall}
    if not found["judged"]:
        return found, []
    # Sources are drawn apart, or what is chance in two of them would be the same chance.
    random = np.random.default_rng([metrics.BOOTSTRAP_SEED, *name.encode()])
    drawn = _resampled_aucs(alone, random)
    return found | {"interval": metrics.percentile_interval(drawn)}, [drawn]


def _shares(alone: PredictionSet, threshold: float) -> dict[str, Any]:
    """Numbers of both classes of one source, and what of each is decided rightly."""
    shares = metrics.shares_of(metrics.count_confusions(alone, threshold=threshold))
    (_, malignant), (_, benign) = shares["recall"], shares["specificity"]
    found: dict[str, Any] = {"malignant": malignant, "benign": benign}
    for metric in ("recall", "specificity"):
        right, of = shares[metric]
        found[metric] = right / of if of else None
        found[f"{metric}_interval"] = metrics.wilson_interval(right, of) if of else None
    return found


def _against_keratosis(melanomas: PredictionSet) -> dict[str, Any] | None:
    """Within the sources that have both: pairs of one source, counted together."""
    keratoses = np.array([origin.diagnosis in KERATOSES for origin in melanomas.origins])
    right, pairs, malignant, benign = 0.0, 0, 0, 0
    for own in melanomas.only(melanomas.labels | keratoses).by_source().values():
        sick, well = int(own.labels.sum()), int((~own.labels).sum())
        if sick and well:
            right += metrics.area_under_roc(own.scores, own.labels) * sick * well
            pairs, malignant, benign = pairs + sick * well, malignant + sick, benign + well
    return {"auc": right / pairs, "malignant": malignant, "keratoses": benign} if pairs else None


def _auc_between(malignant: Numbers, benign: Numbers) -> float:
    labels = np.repeat([True, False], [len(malignant), len(benign)])
    return metrics.area_under_roc(np.concatenate([malignant, benign]), labels)


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
        times = random.multinomial(
            lesions, np.full(lesions, 1 / lesions), metrics.BOOTSTRAP_RESAMPLES
        )
        size = int(places.max()) + 1
        at_score = [np.bincount(places[chosen], row[lesion], size) for row in times]
        totals.append(np.stack(at_score))
    malignant, benign = totals
    below = np.cumsum(benign, axis=1) - benign / 2
    aucs: Numbers = (malignant * below).sum(1) / (malignant.sum(1) * benign.sum(1))
    return aucs
