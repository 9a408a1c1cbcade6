"""A model for one clinic: where it is to decide there, and what its scores mean there.

No weight is touched: the order of the scores stays, and the threshold and the meaning of a score
are learned anew from the clinic's own labelled pictures. What that is worth is shown by halves of
its lesions, each judged by what the other one chose.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.evaluation import evaluate_defined
from edge_melanoma.evaluation.metrics import BOOTSTRAP_SEED, wilson_interval
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.evaluation.promises import Demand, describe_share
from edge_melanoma.evaluation.reliability import (
    TemperatureScaling,
    fit_scaling,
    measure_reliability,
)
from edge_melanoma.evaluation.sources import shares_within, without_carcinomas
from edge_melanoma.evaluation.thresholds import FileOperatingPoint, choose_point

LEAST_LESIONS = 20
"""Of each class, so that each half has ten."""
DEMAND = Demand(max_miss=0.03)
"""What is told of a clinic's number of melanomas where nothing else is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commission:
    """What a clinic's pictures say; `told` is the report, as `commission --json` has it."""

    point: FileOperatingPoint
    correction: TemperatureScaling
    told: dict[str, Any]


def commission(
    scores: PredictionSet,
    records: Sequence[LesionRecord],
    *,
    shipped: float,
    min_recall: float | None,
    demand: Demand | None,
) -> Commission:
    """The clinic's own point and correction, chosen on all of its pictures, and their worth.

    `shipped` is the threshold that the model came with.

    Raises:
        EdgeMelanomaError: fewer than 20 lesions of a class; and as `choose_point`.
    """
    halves = split_lesions(scores)
    rule: dict[str, Any] = {"min_recall": min_recall, "demand": demand}
    point = choose_point(scores, **rule)
    correction, fitted = fit_scaling(scores, records=records)
    told = {
        "shipped": {
            **_figures(scores, shipped),
            "calibration": measure_reliability(scores).as_dict(),
        },
        "local": _figures(scores, point.point.threshold),
        "correction": {**fitted, "prevalence": float(scores.labels.mean())},
        "within_source": _within(scores, shipped=shipped, local=point.point.threshold),
        "judged": _judge(scores, records, halves, rule),
        "promise": _describe_promise(scores, point, demand or DEMAND),
    }
    return Commission(point=point, correction=correction, told=told)


def split_lesions(scores: PredictionSet) -> NDArray[np.bool_]:
    """True for the pictures of one half of the lesions, each class halved; shape (n,).

    Raises:
        EdgeMelanomaError: fewer than 20 lesions of a class.
    """
    _, lesions = np.unique(
        [f"{origin.source}\n{origin.lesion}" for origin in scores.origins], return_inverse=True
    )
    is_malignant = np.bincount(lesions, weights=scores.labels) > 0
    counts = int((~is_malignant).sum()), int(is_malignant.sum())
    if min(counts) < LEAST_LESIONS:
        raise EdgeMelanomaError(
            f"There are {counts[0]} benign and {counts[1]} malignant lesions; a commission needs "
            f"at least {LEAST_LESIONS} of each, half to choose on and half to judge."
        )
    random, first = np.random.default_rng(BOOTSTRAP_SEED), np.zeros(len(is_malignant), np.bool_)
    for label in (False, True):
        members = random.permutation(np.flatnonzero(is_malignant == label))
        first[members[::2]] = True
    return np.asarray(first[lesions])


def _judge(
    scores: PredictionSet,
    records: Sequence[LesionRecord],
    first: NDArray[np.bool_],
    rule: Mapping[str, Any],
) -> dict[str, Any]:
    """Every picture judged by what the half of the other lesions chose."""
    decided = np.zeros(len(first), np.bool_)
    corrected = np.zeros(len(first), np.float64)
    for judged in (first, ~first):
        chosen_on = scores.only(~judged)
        point = choose_point(chosen_on, **rule).point
        kept = [record for record, is_judged in zip(records, judged, strict=True) if not is_judged]
        correction, _ = fit_scaling(chosen_on, records=kept)
        decided[judged] = scores.scores[judged] >= point.threshold
        corrected[judged] = correction.apply(scores.scores[judged])
    found, malignant = int((decided & scores.labels).sum()), int(scores.labels.sum())
    cleared, benign = int((~decided & ~scores.labels).sum()), int((~scores.labels).sum())
    target = point.min_recall or point.min_recall_bound or 0.0
    interval = wilson_interval(found, malignant)
    return {
        "recall": found / malignant,
        "recall_interval": interval,
        "recall_target": target,
        "recall_target_met": interval[1] >= target,
        "specificity": cleared / benign,
        "specificity_interval": wilson_interval(cleared, benign),
        "calibration": measure_reliability(replace(scores, scores=corrected)).as_dict(),
    }


def _figures(scores: PredictionSet, threshold: float) -> dict[str, Any]:
    told = evaluate_defined(scores, threshold=threshold)
    return {name: told[name] for name in ("threshold", "metrics", "intervals")}


def _within(scores: PredictionSet, *, shipped: float, local: float) -> dict[str, Any]:
    before, after = (shares_within(scores, threshold=one) for one in (shipped, local))
    return {name: {"shipped": before[name], "local": after[name]} for name in before}


def _describe_promise(
    scores: PredictionSet, point: FileOperatingPoint, demand: Demand
) -> dict[str, Any]:
    """What the clinic's melanomas promise at its own threshold, and how many more are needed."""
    alone = without_carcinomas(scores)
    lesions: dict[str, bool] = {}
    missed = ~alone.decisions(threshold=point.point.threshold)
    for place in np.flatnonzero(alone.labels):
        lesion = alone.origins[place].lesion
        lesions[lesion] = lesions.get(lesion, False) or bool(missed[place])
    share = describe_share(sum(lesions.values()), len(lesions), demand.max_miss, demand.confidence)
    return {"max_miss": demand.max_miss, "confidence": demand.confidence, "melanomas": share}
