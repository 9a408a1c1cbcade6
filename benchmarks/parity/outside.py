"""The trained network and its exported files on pictures from elsewhere: quality, not time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_melanoma.benchmarks.parity.quality import Flips, find_flips
from edge_melanoma.evaluation.evaluation import evaluate_defined
from edge_melanoma.evaluation.external_sets import ExternalSet
from edge_melanoma.evaluation.predictions import PredictionSet, refuse_other_images


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideCandidate:
    """An exported file on an external set; what one class alone does not define is none.

    `measured` is at the reference's threshold, as drop, agreement and flips are; `own` is at the
    file's own, by which a phone decides, none for a file without one.
    """

    mode: str
    measured: Mapping[str, Any]
    own: Mapping[str, Any] | None
    drop: Mapping[str, float | None]
    agreement: float
    max_score_difference: float
    flips: Flips

    def as_dict(self) -> dict[str, Any]:
        """For parity.json."""
        return {
            "mode": self.mode,
            **_figures(self.measured),
            "drop": dict(self.drop),
            "agreement": self.agreement,
            "max_score_difference": self.max_score_difference,
            "flips": self.flips.counts(),
            "at_own_threshold": self.own
            and {"threshold": self.own["threshold"], **_figures(self.own)},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideParity:
    """One external set; `reference` holds metrics, intervals and what is undefined."""

    described: Mapping[str, Any]
    reference: Mapping[str, Any]
    candidates: tuple[OutsideCandidate, ...]

    def as_dict(self) -> dict[str, Any]:
        """For parity.json: dataset, what was left out of it, reference and candidates."""
        return {
            **self.described,
            "reference": {"mode": "keras", **_figures(self.reference)},
            "candidates": [candidate.as_dict() for candidate in self.candidates],
        }


def compare_outside(
    found: ExternalSet,
    reference: PredictionSet,
    candidates: Mapping[str, PredictionSet],
    *,
    threshold: float,
    own_thresholds: Mapping[str, float],
) -> OutsideParity:
    """Pair the network's scores of an external set with those of each file, by mode.

    `own_thresholds` are by mode too, of the files that have one.
    """
    before = evaluate_defined(reference, threshold=threshold)
    return OutsideParity(
        described=found.as_dict(),
        reference=before,
        candidates=tuple(
            _compare_one(
                mode,
                before,
                reference,
                scores,
                threshold=threshold,
                own_threshold=own_thresholds.get(mode),
            )
            for mode, scores in candidates.items()
        ),
    )


def _compare_one(
    mode: str,
    before: Mapping[str, Any],
    reference: PredictionSet,
    candidate: PredictionSet,
    *,
    threshold: float,
    own_threshold: float | None,
) -> OutsideCandidate:
    refuse_other_images(reference, candidate)
    after = evaluate_defined(candidate, threshold=threshold)
    own = None if own_threshold is None else evaluate_defined(candidate, threshold=own_threshold)
    flips = find_flips(reference, candidate, threshold=threshold)
    return OutsideCandidate(
        mode=mode,
        measured=after,
        own=own,
        drop={
            name: None if value is None else value - after["metrics"][name]
            for name, value in before["metrics"].items()
        },
        agreement=1 - sum(flips.counts().values()) / len(reference.labels),
        max_score_difference=float(np.abs(reference.scores - candidate.scores).max()),
        flips=flips,
    )


def _figures(measured: Mapping[str, Any]) -> dict[str, Any]:
    return {name: measured[name] for name in ("metrics", "intervals", "undefined")}
