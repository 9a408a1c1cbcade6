"""All that is found out about one candidate beside its metrics: the evidence behind the verdict.

Every picture that the two models decide differently, parity at three thresholds, and what the
pictures can prove at all.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edge_melanoma.benchmarks.parity.comparison import KIND_NAMES, Comparison, compare
from edge_melanoma.benchmarks.parity.paired_tests import ProofLimits
from edge_melanoma.benchmarks.parity.statistics import PairedStatistics, study_drops
from edge_melanoma.evaluation.evaluation import CONVENTIONAL_THRESHOLD
from edge_melanoma.evaluation.metrics import count_confusions, measure_intervals
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.tflite.quantization import ScoreTensor, logit

NO_POINT_OF_ITS_OWN = "the file has no operating point of its own, which a new export gives it"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlippedImage:
    """A picture that is decided differently; a distance is the score minus the threshold.

    The integers are what the candidate's output tensor held and what it would hold for the
    reference's score; none where that tensor is float, or not known.
    """

    image_id: str
    kind: str
    reference_score: float
    candidate_score: float
    reference_distance: float
    candidate_distance: float
    reference_integer: int | None
    candidate_integer: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPoint:
    """The candidate's threshold, chosen on validation with its own scores for a least recall.

    `integer` is the first output that is called malignant, where the output is an integer.
    """

    threshold: float
    integer: int | None
    min_recall: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityAtPoint:
    """Both models at one pair of thresholds; `missing` says why there is no comparison.

    `figures` are further ones of the candidate at a threshold of its own, by which a phone decides.
    """

    name: str
    reference_threshold: float
    candidate_threshold: float | None
    candidate_integer: int | None = None
    comparison: Comparison | None = None
    missing: str | None = None
    figures: Mapping[str, Any] | None = None

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
            **(self.figures or {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Statistics, flips with their scores, parity at three thresholds, and what is in the file.

    `is_full_int8` is none where the file was not looked into, `output` where its tensor is not
    known, `threshold_integer` where that is float. `images` are the benign and the malignant ones.
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
        kinds = [image.kind for image in self.flips]
        lost, gained, alarmed, cleared = (kinds.count(kind) for kind in KIND_NAMES)
        return {
            "recall": ProofLimits(lost=lost, gained=gained, pairs=self.images[1], margin=margin),
            "accuracy": ProofLimits(
                lost=lost + alarmed, gained=gained + cleared, pairs=sum(self.images), margin=margin
            ),
        }

    def as_dict(self, margins: Mapping[str, float | None], *, margin: float) -> dict[str, Any]:
        """For parity.json."""
        output = self.output
        return {
            "operating_points": [point.as_dict() for point in self.points],
            "flip_details": [asdict(image) for image in self.flips],
            "threshold_integer": self.threshold_integer,
            "output": output and {"name": output.name, **output.quantization.as_dict()},
            "full_int8": self.is_full_int8,
            "proof": {name: limit.as_dict() for name, limit in self.limits(margin=margin).items()},
            **self.statistics.as_dict(margins),
        }


def study_candidate(
    reference: PredictionSet,
    candidate: PredictionSet,
    comparison: Comparison,
    *,
    threshold: float,
    output: ScoreTensor | None,
    manifest: Mapping[str, Any],
    is_full_int8: bool | None,
) -> Findings:
    """Everything from two sets of scores and their comparison at the reference's threshold.

    `manifest` is the export's, or empty.
    """
    malignant = int(reference.labels.sum())
    return Findings(
        statistics=study_drops(reference, candidate, comparison, threshold=threshold),
        flips=describe_flips(reference, candidate, comparison, threshold=threshold, output=output),
        points=compare_at_points(
            reference, candidate, comparison, threshold=threshold, own=own_point_of(manifest)
        ),
        images=(len(reference.labels) - malignant, malignant),
        output=output,
        threshold_integer=integer_of(output, threshold),
        is_full_int8=is_full_int8,
    )


def describe_flips(
    reference: PredictionSet,
    candidate: PredictionSet,
    comparison: Comparison,
    *,
    threshold: float,
    output: ScoreTensor | None,
) -> tuple[FlippedImage, ...]:
    """The flips with their scores, by kind, those that moved farthest first."""
    position = {image_id: number for number, image_id in enumerate(reference.image_ids)}
    described: list[FlippedImage] = []
    for kind in KIND_NAMES:
        places = [position[image_id] for image_id in getattr(comparison.flips, kind)]
        pairs = [(float(reference.scores[at]), float(candidate.scores[at])) for at in places]
        found = [
            FlippedImage(
                image_id=reference.image_ids[at],
                kind=kind,
                reference_score=before,
                candidate_score=after,
                reference_distance=before - threshold,
                candidate_distance=after - threshold,
                reference_integer=integer_of(output, before),
                candidate_integer=integer_of(output, after),
            )
            for at, (before, after) in zip(places, pairs, strict=True)
        ]
        described += sorted(found, key=lambda one: -abs(one.reference_score - one.candidate_score))
    return tuple(described)


def integer_of(output: ScoreTensor | None, score: float) -> int | None:
    """What an integer output holds for a score; none for a float output or an unknown one."""
    if output is None or output.quantization.is_float:
        return None
    wanted = np.array([score])
    integers = output.quantization.quantize(logit(wanted) if output.is_logit else wanted)
    return int(integers[0])


def own_point_of(manifest: Mapping[str, Any]) -> OwnPoint | None:
    """The operating point that an export's manifest names; none if it names none."""
    point = manifest.get("operating_point")
    if not isinstance(point, Mapping) or point.get("threshold") is None:
        return None
    return OwnPoint(
        threshold=float(point["threshold"]),
        integer=point.get("integer"),
        min_recall=point.get("min_recall"),
    )


def compare_at_points(
    reference: PredictionSet,
    candidate: PredictionSet,
    comparison: Comparison,
    *,
    threshold: float,
    own: OwnPoint | None,
) -> tuple[ParityAtPoint, ...]:
    """At 0.5, at the reference's operating point, and with each model at its own.

    A candidate whose scores are shifted as a whole flips pictures at the reference's threshold and
    none at its own: the third comparison tells a shift from a loss. `comparison` is that at the
    reference's operating point, which is `threshold`.
    """
    half = CONVENTIONAL_THRESHOLD
    return (
        ParityAtPoint(
            name="half",
            reference_threshold=half,
            candidate_threshold=half,
            comparison=compare(reference, candidate, threshold=half),
        ),
        ParityAtPoint(
            name="reference",
            reference_threshold=threshold,
            candidate_threshold=threshold,
            comparison=comparison,
        ),
        _at_own(reference, candidate, threshold, own),
    )


def _at_own(
    reference: PredictionSet, candidate: PredictionSet, threshold: float, own: OwnPoint | None
) -> ParityAtPoint:
    if own is None:
        return ParityAtPoint(
            name="own",
            reference_threshold=threshold,
            candidate_threshold=None,
            missing=NO_POINT_OF_ITS_OWN,
        )
    at = own.threshold
    return ParityAtPoint(
        name="own",
        reference_threshold=threshold,
        candidate_threshold=at,
        candidate_integer=own.integer,
        comparison=compare(reference, candidate, threshold=threshold, candidate_threshold=at),
        figures={
            "min_recall": own.min_recall,
            "intervals": measure_intervals(candidate, threshold=at),
            "confusion": asdict(count_confusions(candidate, threshold=at)),
        },
    )
