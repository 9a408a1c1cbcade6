"""What the same pictures say about a drop: intervals, bounds and tests of every metric."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edge_melanoma.benchmarks.parity import paired_tests
from edge_melanoma.benchmarks.parity.comparison import Comparison
from edge_melanoma.benchmarks.parity.rules import Figure, never
from edge_melanoma.evaluation.metrics import Interval, placements, wilson_interval
from edge_melanoma.evaluation.predictions import PredictionSet, refuse_other_images

LEAST_OF_A_CLASS = 10
"""Below it a variance is a guess: of one picture of each class it is none at all."""
MIN_RECALL = 0.8
"""Below it a classifier is of no use as a first look: the ISIC 2024 challenge's choice."""
PAIRS = {"recall": "malignant pictures", "specificity": "benign pictures", "accuracy": "pictures"}
"""What the pairs of each share are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DropEstimate:
    """A drop with its 95 % interval, its one-sided bound, and the test that belongs to that.

    `upper95` is the smallest margin that these pictures would pass, `p` gives the one-sided p of a
    drop of a margin or more, and `method` says how all three are made: `score` is Tango's test for
    shares of pictures decided rightly, `delong` that for areas under the ROC curve, which have none
    of the three on few pictures. `figure` is the drop as a tolerance is held against it.
    """

    drop: float
    method: str
    figure: Figure
    interval: Interval | None = None
    upper95: float | None = None
    p: Callable[[float], float] | None = None

    def test(self, margin: float | None) -> dict[str, Any]:
        """Whether the drop is shown to be smaller than a margin, for parity.json."""
        told = {"drop": self.drop, "upper95": self.upper95, "method": self.method, "margin": margin}
        if margin is None or self.upper95 is None or self.p is None:
            return told | {"p": None, "shown": None if margin is None else False}
        return told | {"p": self.p(margin), "shown": self.upper95 < margin}

    def bound(self) -> Figure:
        """Its upper bound, which a margin is held against."""
        return replace(self.figure, value=self.upper95, least=never)


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
            "partial_auc": {
                "min_recall": MIN_RECALL,
                "reference": before,
                "candidate": after,
            },
            "drop_intervals": {
                name: drop.interval and list(drop.interval) for name, drop in self.drops.items()
            },
            "share_intervals": {name: list(bounds) for name, bounds in self.shares.items()},
            "mcnemar_p_malignant": self.mcnemar_p_malignant,
            "noninferiority": self.tests(margins),
        }


def study_drops(comparison: Comparison) -> PairedStatistics:
    """Everything but the verdict."""
    pairs = count_pairs(comparison)
    before, after = map(partial_auc, comparison.scores)
    drop, flips = comparison.reference.auc - comparison.candidate.auc, pairs["recall"]
    return PairedStatistics(
        pairs=pairs,
        mcnemar_p_malignant=paired_tests.exact_mcnemar(flips["lost"], flips["gained"]),
        drops={
            **{name: _share_drop(name, flips) for name, flips in pairs.items()},
            "auc": _area_drop(comparison, drop, min_recall=0.0),
            "partial_auc": _area_drop(comparison, before - after, min_recall=MIN_RECALL),
        },
        shares=_shares(comparison, pairs),
        partial_auc=(before, after),
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


def measured_agreement(comparison: Comparison) -> Figure:
    """The share of equal decisions, as a contract holds a limit against it."""
    total = len(comparison.scores[0].labels)
    equal = total - sum(comparison.flips.counts().values())
    return Figure(
        value=comparison.agreement,
        lenient=wilson_interval(equal, total)[1],
        pictures=total,
        least=lambda limit: paired_tests.pairs_without_flips(1 - limit),
        settling=lambda limit: paired_tests.trials_that_tell(limit, comparison.agreement),
    )


def _share_drop(name: str, flips: Mapping[str, int]) -> DropEstimate:
    drop = (flips["lost"] - flips["gained"]) / flips["pairs"]
    interval = paired_tests.score_interval(**flips)
    return DropEstimate(
        drop=drop,
        method="score",
        figure=Figure(
            value=drop,
            lenient=interval[0],
            pictures=flips["pairs"],
            of=PAIRS[name],
            least=paired_tests.pairs_without_flips,
            settling=lambda limit: paired_tests.pairs_that_tell(limit, **flips),
        ),
        interval=interval,
        upper95=paired_tests.score_upper_bound(**flips),
        p=lambda margin: paired_tests.noninferiority_p(**flips, margin=margin),
    )


def _area_drop(comparison: Comparison, drop: float, *, min_recall: float) -> DropEstimate:
    reference, candidate = comparison.scores
    pictures, malignant = len(reference.labels), int(reference.labels.sum())
    if not has_enough(reference):
        doubt = (
            f"{malignant} malignant and {pictures - malignant} benign pictures are too few for an "
            f"interval of an area under the ROC curve; at least {LEAST_OF_A_CLASS} of each class "
            f"would do"
        )
        return DropEstimate(drop=drop, method="delong", figure=Figure(value=None, doubt=doubt))
    error = drop_error(reference, candidate, min_recall=min_recall)
    reach = paired_tests.TWO_SIDED_95 * error

    def settling(limit: float) -> int | None:
        """An error becomes smaller with the root of the number of pictures."""
        return math.ceil(pictures * (reach / (drop - limit)) ** 2) if drop != limit else None

    return DropEstimate(
        drop=drop,
        method="delong",
        figure=Figure(value=drop, lenient=drop - reach, pictures=pictures, settling=settling),
        interval=(drop - reach, drop + reach),
        upper95=drop + paired_tests.ONE_SIDED_95 * error,
        p=lambda margin: 0.5 * math.erfc((margin - drop) / error / math.sqrt(2)),
    )


def _shares(comparison: Comparison, pairs: Mapping[str, Mapping[str, int]]) -> dict[str, Interval]:
    flips, total = comparison.flips.counts(), pairs["accuracy"]["pairs"]
    return {"agreement": wilson_interval(total - sum(flips.values()), total)} | {
        kind: wilson_interval(
            count, pairs["recall" if "malignant" in kind else "specificity"]["pairs"]
        )
        for kind, count in flips.items()
    }


def has_enough(predictions: PredictionSet) -> bool:
    """Whether there are so many pictures of each class that an area's variance can be told."""
    malignant = int(predictions.labels.sum())
    return min(malignant, len(predictions.labels) - malignant) >= LEAST_OF_A_CLASS


def partial_auc(predictions: PredictionSet) -> float:
    """The area between the ROC curve and the line of 80 % recall: 0..0.2, 0.02 by chance.

    That is the integral of 1 - false alarm rate over recalls from 0.8 to 1, tied scores being
    joined by a straight line; not rescaled. The primary score of the ISIC 2024 challenge
    (Kurtansky et al., Scientific Data 11, 2024).
    """
    from sklearn.metrics import roc_auc_score

    # With the classes swapped it is the area left of a false alarm rate of 0.2, which McClish
    # scaled to 0.5..1; chance has half of the square of its width.
    width = 1 - MIN_RECALL
    chance = width**2 / 2
    scaled = roc_auc_score(~predictions.labels, -predictions.scores, max_fpr=width)
    return float(chance + 2 * (width - chance) * (scaled - 0.5))


def drop_error(
    reference: PredictionSet, candidate: PredictionSet, *, min_recall: float = 0.0
) -> float:
    """The standard error of the drop of the area above `min_recall`; needs `has_enough`.

    DeLong's (Biometrics 44, 1988), and for part of the area the same with the melanomas of lowest
    scores alone, whose bound is a quantile of the sample itself. At least that of one pair of
    pictures that changes its order: models that rank all alike would have none, however few.
    """
    refuse_other_images(reference, candidate)
    before, after = (
        placements(one.scores, one.labels, min_recall=min_recall) for one in (reference, candidate)
    )
    variance = sum(
        float(np.var(one - other, ddof=1)) / len(one)
        for one, other in zip(before, after, strict=True)
    )
    malignant, benign = map(len, before)
    return max(math.sqrt(variance), math.sqrt(2) / (malignant * benign))
