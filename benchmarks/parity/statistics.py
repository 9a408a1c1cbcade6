"""What the same pictures say about a drop: intervals, bounds and tests of every metric."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from edge_melanoma.benchmarks.parity import paired_tests
from edge_melanoma.benchmarks.parity.bootstrap import (
    MIN_RECALL,
    p_above,
    partial_auc,
    percentile_interval,
    resample_drops,
    upper_bound,
)
from edge_melanoma.benchmarks.parity.comparison import Comparison
from edge_melanoma.evaluation.metrics import Interval, wilson_interval


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
    p: Callable[..., float]

    def test(self, margin: float | None) -> dict[str, Any]:
        """Whether the drop is shown to be smaller than a margin, for parity.json."""
        return {
            "drop": self.drop,
            "upper95": self.upper95,
            "method": self.method,
            "margin": margin,
            "p": None if margin is None else self.p(margin=margin),
            "shown": None if margin is None else self.upper95 < margin,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedStatistics:
    """All that is said of a candidate's drops, at the reference's operating point.

    `pairs` counts flips by metric, see `count_pairs`. `shares` holds Wilson's 95 % intervals of the
    agreement and of every kind of flip, the latter as shares of their class; `partial_auc` those of
    reference and candidate.
    """

    pairs: Mapping[str, Mapping[str, int]]
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


def study_drops(comparison: Comparison) -> PairedStatistics:
    """Everything but the verdict; 2,000 images take 0.5 s."""
    reference, candidate = comparison.scores
    samples = resample_drops(reference, candidate, threshold=comparison.threshold)
    areas = partial_auc(reference), partial_auc(candidate)
    pairs = count_pairs(comparison)
    shares = {
        name: DropEstimate(
            drop=(flips["lost"] - flips["gained"]) / flips["pairs"],
            interval=percentile_interval(samples[name]),
            upper95=paired_tests.score_upper_bound(**flips),
            method="score",
            p=partial(paired_tests.noninferiority_p, **flips),
        )
        for name, flips in pairs.items()
    }
    drops = {"auc": comparison.drops()["auc"], "partial_auc": areas[0] - areas[1]}
    areas_lost = {
        name: DropEstimate(
            drop=drop,
            interval=percentile_interval(samples[name]),
            upper95=upper_bound(samples[name]),
            method="bootstrap",
            p=partial(p_above, samples[name]),
        )
        for name, drop in drops.items()
    }
    return PairedStatistics(
        pairs=pairs,
        mcnemar_p_malignant=paired_tests.exact_mcnemar(
            pairs["recall"]["lost"], pairs["recall"]["gained"]
        ),
        drops=shares | areas_lost,
        shares=_shares(comparison, pairs),
        partial_auc=areas,
    )


def count_pairs(comparison: Comparison) -> dict[str, dict[str, int]]:
    """By metric: of how many `pairs` only the reference (`lost`) or the candidate is right."""
    lost, gained, alarmed, cleared = comparison.flips.counts().values()
    labels = comparison.scores[0].labels
    total, malignant = len(labels), int(labels.sum())
    return {
        "recall": {"lost": lost, "gained": gained, "pairs": malignant},
        "specificity": {"lost": alarmed, "gained": cleared, "pairs": total - malignant},
        "accuracy": {"lost": lost + alarmed, "gained": gained + cleared, "pairs": total},
    }


def _shares(comparison: Comparison, pairs: Mapping[str, Mapping[str, int]]) -> dict[str, Interval]:
    flips, total = comparison.flips.counts(), pairs["accuracy"]["pairs"]
    return {"agreement": wilson_interval(total - sum(flips.values()), total)} | {
        kind: wilson_interval(
            count, pairs["recall" if "malignant" in kind else "specificity"]["pairs"]
        )
        for kind, count in flips.items()
    }
