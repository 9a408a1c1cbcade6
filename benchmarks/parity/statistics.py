"""What the same pictures say about a drop: intervals, bounds, tests, and what they cannot show.

All that is found out about one candidate beside its metrics: the evidence behind the verdict.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

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
from edge_melanoma.benchmarks.parity.comparison import (
    KIND_NAMES,
    Comparison,
    FlippedImage,
    ParityAtPoint,
    compare,
    compare_at_points,
    describe_flips,
    find_flips,
    integer_of,
    own_point_of,
)
from edge_melanoma.benchmarks.parity.paired_tests import (
    ProofLimits,
    exact_mcnemar,
    noninferiority_p,
    score_upper_bound,
)
from edge_melanoma.evaluation.metrics import Interval, wilson_interval
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.tflite.quantization import ScoreTensor


class DropEstimate(Protocol):
    """A drop with its 95 % interval and one-sided bound, to be tested against a margin."""

    @property
    def drop(self) -> float:
        """Reference minus candidate."""

    @property
    def interval(self) -> Interval:
        """The bootstrap's 95 % interval."""

    @property
    def upper95(self) -> float:
        """The one-sided 95 % bound: the smallest margin that these pictures would pass."""

    @property
    def method(self) -> str:
        """How the bound and the test are made."""

    def p(self, margin: float) -> float:
        """One-sided p of a drop of `margin` or more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareDrop:
    """The drop of a share of pictures decided rightly, tested by Tango's score.

    The bootstrap knows no flip that did not happen: with none at all its interval is 0..0. So the
    bound is not taken from it.
    """

    lost: int
    gained: int
    pairs: int
    interval: Interval
    method: str = "score"

    @property
    def drop(self) -> float:
        """Reference minus candidate."""
        return (self.lost - self.gained) / self.pairs

    @property
    def upper95(self) -> float:
        """The bound that belongs to `p`."""
        return score_upper_bound(lost=self.lost, gained=self.gained, pairs=self.pairs)

    def p(self, margin: float) -> float:
        """One-sided p of a drop of `margin` or more."""
        return noninferiority_p(lost=self.lost, gained=self.gained, pairs=self.pairs, margin=margin)


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaDrop:
    """The drop of an area under the ROC curve, by the bootstrap alone."""

    drop: float
    samples: NDArray[np.float64]
    method: str = "bootstrap"

    @property
    def interval(self) -> Interval:
        """The percentile interval."""
        return percentile_interval(self.samples)

    @property
    def upper95(self) -> float:
        """The percentile bound."""
        return upper_bound(self.samples)

    def p(self, margin: float) -> float:
        """One-sided p of a drop of `margin` or more."""
        return p_above(self.samples, margin)


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
    reference: PredictionSet, candidate: PredictionSet, *, threshold: float
) -> PairedStatistics:
    """Everything but the verdict; 2,000 images take half a second.

    Raises:
        EdgeMelanomaError: the sets are of different images, or one class is missing.
    """
    comparison = compare(reference, candidate, threshold=threshold)
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
    flips = comparison.flips.counts()
    malignant = int(images.labels.sum())
    lost, gained = flips["lost_malignant"], flips["gained_malignant"]
    alarmed, cleared = flips["new_false_alarm"], flips["cleared_false_alarm"]
    counted = {
        "recall": (lost, gained, malignant, samples.recall),
        "specificity": (alarmed, cleared, len(images.labels) - malignant, samples.specificity),
        "accuracy": (lost + alarmed, gained + cleared, len(images.labels), samples.accuracy),
    }
    shares: dict[str, DropEstimate] = {
        name: ShareDrop(lost=worse, gained=better, pairs=pairs, interval=percentile_interval(drawn))
        for name, (worse, better, pairs, drawn) in counted.items()
    }
    return shares | {
        "auc": AreaDrop(drop=comparison.drops()["auc"], samples=samples.auc),
        "partial_auc": AreaDrop(drop=part, samples=samples.partial_auc),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Statistics, flips with their scores, parity at three thresholds, and what is in the file.

    `is_full_int8` is none where the file was not looked into, `output` where its tensor is not
    known, `threshold_integer` where that is float.
    """

    statistics: PairedStatistics
    flips: tuple[FlippedImage, ...]
    points: tuple[ParityAtPoint, ...]
    images: tuple[int, int]
    output: ScoreTensor | None
    threshold_integer: int | None
    is_full_int8: bool | None

    def limits(self, *, margin: float) -> dict[str, ProofLimits]:
        """What these numbers of malignant and of all images can prove about a drop of `margin`."""
        counts = {"recall": self.images[1], "accuracy": sum(self.images)}
        relevant = {
            "recall": ("lost_malignant", "gained_malignant"),
            "accuracy": tuple(KIND_NAMES),
        }
        limits = {}
        for metric, pairs in counts.items():
            flipped = [image.kind for image in self.flips if image.kind in relevant[metric]]
            worse = sum(kind in ("lost_malignant", "new_false_alarm") for kind in flipped)
            limits[metric] = ProofLimits(
                lost=worse, gained=len(flipped) - worse, pairs=pairs, margin=margin
            )
        return limits

    def as_dict(self, margins: Mapping[str, float | None], *, margin: float) -> dict[str, Any]:
        """For parity.json."""
        limits = self.limits(margin=margin)
        return {
            "operating_points": [point.as_dict() for point in self.points],
            "flip_details": [image.as_dict() for image in self.flips],
            "threshold_integer": self.threshold_integer,
            "output": _describe_output(self.output),
            "full_int8": self.is_full_int8,
            "proof": {metric: limit.as_dict() for metric, limit in limits.items()},
            **self.statistics.as_dict(margins),
        }


def study_candidate(
    reference: PredictionSet,
    candidate: PredictionSet,
    *,
    threshold: float,
    output: ScoreTensor | None,
    manifest: Mapping[str, Any],
    is_full_int8: bool | None,
) -> Findings:
    """Everything from two sets of scores; `manifest` is the export's, or empty.

    Raises:
        EdgeMelanomaError: the sets are of different images, or one class is missing.
    """
    flips = find_flips(reference, candidate, threshold=threshold)
    malignant = int(reference.labels.sum())
    return Findings(
        statistics=study_drops(reference, candidate, threshold=threshold),
        flips=describe_flips(reference, candidate, flips, threshold=threshold, output=output),
        points=compare_at_points(
            reference, candidate, threshold=threshold, own=own_point_of(manifest)
        ),
        images=(len(reference.labels) - malignant, malignant),
        output=output,
        threshold_integer=integer_of(output, threshold),
        is_full_int8=is_full_int8,
    )


def _describe_output(output: ScoreTensor | None) -> dict[str, Any] | None:
    return None if output is None else {"name": output.name, **output.quantization.as_dict()}
