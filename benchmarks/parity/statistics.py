"""What the same pictures say about a drop: intervals, bounds and tests of every metric."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.benchmarks.parity.bootstrap import (
    MIN_RECALL,
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
    drop of a margin or more, and `method` says how the two are made: `score` is Tango's test for
    shares of pictures decided rightly, as the bootstrap knows no flip that did not happen and has
    the interval 0..0 where there is none; areas under the ROC curve have the `bootstrap` alone.
    """

    drop: float
    interval: Interval
    upper95: float
    method: str
    p: Callable[[float], float]

    def test(self, margin: float | None) -> dict[str, Any]:
        """Whether the drop is shown to be smaller than a margin, for parity.json."""
        return {
            "drop": self.drop,
            "upper95": self.upper95,
            "method": self.method,
            "margin": margin,
            "p": None if margin is None else self.p(margin),
            "shown": None if margin is None else self.upper95 < margin,
        }


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
        return {name: drop.test(margins.get(name)) for name, drop in self.drops.items()}

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
    comparison: Comparison,
    samples: Mapping[str, NDArray[np.float64]],
    images: PredictionSet,
    *,
    part: float,
) -> dict[str, DropEstimate]:
    lost, gained, alarmed, cleared = comparison.flips.counts().values()
    total, malignant = len(images.labels), int(images.labels.sum())
    counted = {
        "recall": {"lost": lost, "gained": gained, "pairs": malignant},
        "specificity": {"lost": alarmed, "gained": cleared, "pairs": total - malignant},
        "accuracy": {"lost": lost + alarmed, "gained": gained + cleared, "pairs": total},
    }
    shares = {
        name: DropEstimate(
            drop=(flips["lost"] - flips["gained"]) / flips["pairs"],
            interval=percentile_interval(samples[name]),
            upper95=score_upper_bound(**flips),
            method="score",
            p=partial(_score_p, flips),
        )
        for name, flips in counted.items()
    }
    areas = {
        name: DropEstimate(
            drop=drop,
            interval=percentile_interval(samples[name]),
            upper95=upper_bound(samples[name]),
            method="bootstrap",
            p=partial(p_above, samples[name]),
        )
        for name, drop in (("auc", comparison.drops()["auc"]), ("partial_auc", part))
    }
    return shares | areas


def _score_p(flips: Mapping[str, int], margin: float) -> float:
    return noninferiority_p(**flips, margin=margin)


def _shares(flips: Mapping[str, int], images: PredictionSet) -> dict[str, Interval]:
    total, malignant = len(images.labels), int(images.labels.sum())
    agreeing = total - sum(flips.values())
    return {"agreement": wilson_interval(agreeing, total)} | {
        kind: wilson_interval(count, malignant if "malignant" in kind else total - malignant)
        for kind, count in flips.items()
    }
