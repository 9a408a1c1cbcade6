"""Parity at 0.5, at the reference's operating point, and with each model at its own.

A candidate whose scores are shifted as a whole flips pictures at the reference's threshold and
none at its own: the third comparison tells a shift from a loss.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_melanoma.benchmarks.parity.quality import Comparison, compare
from edge_melanoma.evaluation.evaluation import CONVENTIONAL_THRESHOLD
from edge_melanoma.evaluation.predictions import PredictionSet

NO_POINT_OF_ITS_OWN = "the file has no operating point of its own, which a new export gives it"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPoint:
    """The candidate's threshold, chosen on validation with its own scores.

    `integer` is the first output that is called malignant, where the output is an integer.
    """

    threshold: float
    integer: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityAtPoint:
    """Both models at one pair of thresholds; `missing` says why there is no comparison."""

    name: str
    reference_threshold: float
    candidate_threshold: float | None
    candidate_integer: int | None
    comparison: Comparison | None
    missing: str | None

    def as_dict(self) -> dict[str, Any]:
        """For parity.json."""
        told: dict[str, Any] = {
            "name": self.name,
            "reference_threshold": self.reference_threshold,
            "candidate_threshold": self.candidate_threshold,
            "candidate_integer": self.candidate_integer,
            "missing": self.missing,
        }
        if self.comparison is None:
            return told
        return told | {
            "reference": self.comparison.reference.as_dict(),
            "candidate": self.comparison.candidate.as_dict(),
            "drop": self.comparison.drops(),
            "agreement": self.comparison.agreement,
            "flips": self.comparison.flips.counts(),
            "recall_drop_upper95": self.comparison.recall_drop_upper95,
        }


def own_point_of(manifest: Mapping[str, Any]) -> OwnPoint | None:
    """The operating point that an export's manifest names; none if it names none."""
    point = manifest.get("operating_point")
    if not isinstance(point, Mapping) or point.get("threshold") is None:
        return None
    return OwnPoint(threshold=float(point["threshold"]), integer=point.get("integer"))


def compare_at_points(
    reference: PredictionSet,
    candidate: PredictionSet,
    *,
    threshold: float,
    own: OwnPoint | None,
) -> tuple[ParityAtPoint, ...]:
    """The three comparisons; `threshold` is the reference's operating point."""
    shared = {"half": CONVENTIONAL_THRESHOLD, "reference": threshold}
    points = [
        ParityAtPoint(
            name=name,
            reference_threshold=value,
            candidate_threshold=value,
            candidate_integer=None,
            comparison=compare(reference, candidate, threshold=value),
            missing=None,
        )
        for name, value in shared.items()
    ]
    return *points, _at_own(reference, candidate, threshold, own)


def _at_own(
    reference: PredictionSet, candidate: PredictionSet, threshold: float, own: OwnPoint | None
) -> ParityAtPoint:
    if own is None:
        comparison, missing = None, NO_POINT_OF_ITS_OWN
    else:
        comparison, missing = (
            compare(reference, candidate, threshold=threshold, candidate_threshold=own.threshold),
            None,
        )
    return ParityAtPoint(
        name="own",
        reference_threshold=threshold,
        candidate_threshold=own.threshold if own else None,
        candidate_integer=own.integer if own else None,
        comparison=comparison,
        missing=missing,
    )
