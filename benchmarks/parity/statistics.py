"""What the same pictures say about a drop: intervals, bounds and tests of every metric."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.benchmarks.parity.bootstrap import (
    MIN_RECALL,
    DropSamples,
    p_above,
    partial_auc,
    percentile_interval,
    resample_drops,
    upper_bound,
)
from edge_melanoma.benchmarks.parity.comparison import Comparison
from edge_melanoma.benchmarks.parity.paired_tests import (
    exact_mcnemar,
    noninferiority_p,
    score_upper_bound,
)
from edge_melanoma.evaluation.metrics import Interval, wilson_interval
from edge_melanoma.evaluation.predictions import PredictionSet


@dataclass(frozen=True, slots=True, kw_only=True)
class DropEstimate:
    """A drop with its 95 % interval, its one-sided bound, and the test that belongs to that.

    `upper95` is the smallest margin that these pictures would pass, `p` gives the one-sided p of a
    drop of a margin or more, and `method` says how the two are made.
    """

    drop: float
    interval: Interval
    upper95: float
    method: str
    p: Callable[[float], float]


def share_drop(*, lost: int, gained: int, pairs: int, samples: NDArray[np.float64]) -> DropEstimate:
    """The drop of a share of pictures decided rightly, tested by Tango's score.

    The bootstrap knows no flip that did not happen: with none at all its interval is 0..0. So the
    bound is not taken from it.
    """
    return DropEstimate(
        drop=(lost - gained) / pairs,
        interval=percentile_interval(samples),
        upper95=score_upper_bound(lost=lost, gained=gained, pairs=pairs),
        method="score",
        p=lambda margin: noninferiority_p(lost=lost, gained=gained, pairs=pairs, margin=margin),
    )


def area_drop(drop: float, samples: NDArray[np.float64]) -> DropEstimate:
    """The drop of an area under the ROC curve, by the bootstrap alone."""
    return DropEstimate(
        drop=drop,
        interval=percentile_interval(samples),
        upper95=upper_bound(samples),
        method="bootstrap",
        p=partial(p_above, samples),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedStatistics:
    """All that is said of a candidate's drops, at the reference's operating point.

    `shares` holds Wilson's 95 % intervals of the agreement and of every kind of flip, the latter
    as shares of their class; `partial_auc` those of reference and candidate.
    """

    mcnemar_p_malignant: float
    drops: Mapping[str, DropEstimate]
    shares: Mapping[str, Interval]
    partial_auc: tuple[float, float]

    def tests(self, margins: Mapping[str, float | None]) -> dict[str, dict[str, Any]]:
        """Non-inferiority by metric; margin, p and result are none where no margin was set."""
        return {name: _test(drop, margins.get(name)) for name, drop in self.drops.items()}

    def as_dict(self, margins: Mapping[str, float | None]) -> dict[str, Any]:
        """For parity.json, but for what stands in the comparison."""
        before, after = self.partial_auc
        return {
            "partial_auc": {"min_recall": MIN_RECALL, "reference": before, "candidate": after},
            "drop_intervals": {name: list(drop.interval) for name, drop in self.drops.items()},
            "share_intervals": {name: list(bounds) for name, bounds in self.shares.items()},
            "mcnemar_p_malignant": self.mcnemar_p_malignant,
            "noninferiority": self.tests(margins),
        }


def study_drops(
    reference: PredictionSet,
    candidate: PredictionSet,
    comparison: Comparison,
    *,
    threshold: float,
) -> PairedStatistics:
    """Everything but the verdict, `comparison` being at `threshold`; 2,000 images take 0.5 s."""
    samples = resample_drops(reference, candidate, threshold=threshold)
    areas = partial_auc(reference), partial_auc(candidate)
    flips = comparison.flips.counts()
    return PairedStatistics(
        mcnemar_p_malignant=exact_mcnemar(flips["lost_malignant"], flips["gained_malignant"]),
        drops=_estimate(comparison, samples, reference, part=areas[0] - areas[1]),
        shares=_shares(flips, reference),
        partial_auc=areas,
    )


def _estimate(
    comparison: Comparison, samples: DropSamples, images: PredictionSet, *, part: float
) -> dict[str, DropEstimate]:
    lost, gained, alarmed, cleared = comparison.flips.counts().values()
    images_in_all, malignant = len(images.labels), int(images.labels.sum())
    benign = images_in_all - malignant
    counted = {
        "recall": (lost, gained, malignant, samples.recall),
        "specificity": (alarmed, cleared, benign, samples.specificity),
        "accuracy": (lost + alarmed, gained + cleared, images_in_all, samples.accuracy),
    }
    return {
        name: share_drop(lost=worse, gained=better, pairs=pairs, samples=drawn)
        for name, (worse, better, pairs, drawn) in counted.items()
    } | {
        "auc": area_drop(comparison.drops()["auc"], samples.auc),
        "partial_auc": area_drop(part, samples.partial_auc),
    }


def _shares(flips: Mapping[str, int], images: PredictionSet) -> dict[str, Interval]:
    total, malignant = len(images.labels), int(images.labels.sum())
    agreeing = total - sum(flips.values())
    return {"agreement": wilson_interval(agreeing, total)} | {
        kind: wilson_interval(count, malignant if "malignant" in kind else total - malignant)
        for kind, count in flips.items()
    }


def _test(drop: DropEstimate, margin: float | None) -> dict[str, Any]:
    p = None if margin is None else drop.p(margin)
    return {
        "drop": drop.drop,
        "upper95": drop.upper95,
        "method": drop.method,
        "margin": margin,
        "p": p,
        "shown": None if margin is None else drop.upper95 < margin,
    }
