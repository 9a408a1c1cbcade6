"""Two models on the same pictures: what the candidate lost, what it gained, and what chance allows.

Reference is the trained network, candidate the file for the phone.

Every picture that the two models decide differently, by how much: what a reader looks at first.

Lost malignant pictures come first, then gained ones, new false alarms and cleared ones.

Parity at 0.5, at the reference's operating point, and with each model at its own.

A candidate whose scores are shifted as a whole flips pictures at the reference's threshold and
none at its own: the third comparison tells a shift from a loss.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edge_melanoma.benchmarks.parity.paired_tests import exact_mcnemar, paired_drop_upper_bound
from edge_melanoma.evaluation.evaluation import CONVENTIONAL_THRESHOLD
from edge_melanoma.evaluation.metrics import Metrics, measure
from edge_melanoma.evaluation.predictions import PredictionSet, refuse_other_images
from edge_melanoma.tflite.quantization import ScoreTensor, logit


@dataclass(frozen=True, slots=True, kw_only=True)
class Flips:
    """Pictures that the two models decide differently, by what it means for the patient."""

    lost_malignant: tuple[str, ...]
    gained_malignant: tuple[str, ...]
    new_false_alarm: tuple[str, ...]
    cleared_false_alarm: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """Numbers by kind, lost malignant first."""
        return {
            "lost_malignant": len(self.lost_malignant),
            "gained_malignant": len(self.gained_malignant),
            "new_false_alarm": len(self.new_false_alarm),
            "cleared_false_alarm": len(self.cleared_false_alarm),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Ties:
    """Pictures whose score cannot be told from the threshold in the candidate's own output.

    They are all decided alike, whichever side the threshold was rounded to.
    """

    images: int
    malignant: int
    output: ScoreTensor

    def counts(self) -> dict[str, int]:
        """For parity.json."""
        return {"images": self.images, "malignant": self.malignant}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A candidate against its reference, each at a threshold; drops are reference minus candidate.

    `ties` is none where it is not known what the candidate's output tensor is.
    """

    reference: Metrics
    candidate: Metrics
    flips: Flips
    ties: Ties | None
    distinct_scores: int
    agreement: float
    max_score_difference: float
    mean_score_difference: float
    mcnemar_p: float
    recall_drop_upper95: float

    def drops(self) -> dict[str, float]:
        """Every metric's drop, recall first; negative where the candidate is better."""
        reference, candidate = self.reference.as_dict(), self.candidate.as_dict()
        return {name: reference[name] - candidate[name] for name in reference}


def compare(
    reference: PredictionSet,
    candidate: PredictionSet,
    *,
    threshold: float,
    candidate_threshold: float | None = None,
    output: ScoreTensor | None = None,
) -> Comparison:
    """Pair two prediction sets image by image; `output` is the tensor that the candidate's are of.

    `threshold` is for both, but where the candidate has one of its own.

    Raises:
        EdgeMelanomaError: the sets are of different images, or one class is missing.
    """
    refuse_other_images(reference, candidate)
    own = threshold if candidate_threshold is None else candidate_threshold
    flips = find_flips(reference, candidate, threshold=threshold, candidate_threshold=own)
    numbers = flips.counts()
    differences = np.abs(reference.scores - candidate.scores)
    lost, gained = numbers["lost_malignant"], numbers["gained_malignant"]
    return Comparison(
        reference=measure(reference, threshold=threshold),
        candidate=measure(candidate, threshold=own),
        flips=flips,
        ties=find_ties(candidate, threshold=own, output=output) if output else None,
        distinct_scores=len(np.unique(candidate.scores)),
        agreement=1 - sum(numbers.values()) / len(reference.labels),
        max_score_difference=float(differences.max()),
        mean_score_difference=float(differences.mean()),
        mcnemar_p=exact_mcnemar(
            lost + numbers["new_false_alarm"], gained + numbers["cleared_false_alarm"]
        ),
        recall_drop_upper95=paired_drop_upper_bound(
            lost=lost, gained=gained, pairs=int(reference.labels.sum())
        ),
    )


def find_flips(
    reference: PredictionSet,
    candidate: PredictionSet,
    *,
    threshold: float,
    candidate_threshold: float | None = None,
) -> Flips:
    """The ids of pictures with another decision, in the order of the sets."""
    own = threshold if candidate_threshold is None else candidate_threshold
    before = reference.decisions(threshold=threshold)
    after = candidate.decisions(threshold=own)
    malignant = reference.labels
    ids = np.array(reference.image_ids)
    return Flips(
        lost_malignant=tuple(ids[malignant & before & ~after].tolist()),
        gained_malignant=tuple(ids[malignant & ~before & after].tolist()),
        new_false_alarm=tuple(ids[~malignant & ~before & after].tolist()),
        cleared_false_alarm=tuple(ids[~malignant & before & ~after].tolist()),
    )


def find_ties(predictions: PredictionSet, *, threshold: float, output: ScoreTensor) -> Ties:
    """The pictures that `output` gives the very value that it would give the threshold.

    An integer output rounds the threshold to one of its steps, a logit to a step of the logit; a
    float output has a tie where the numbers are equal.
    """
    tied = predictions.scores == output.nearest_score(threshold)
    return Ties(
        images=int(tied.sum()), malignant=int((tied & predictions.labels).sum()), output=output
    )


KIND_NAMES = {
    "lost_malignant": "Lost malignant",
    "gained_malignant": "Gained malignant",
    "new_false_alarm": "New false alarm",
    "cleared_false_alarm": "Cleared false alarm",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FlippedImage:
    """One such picture; a distance is the score minus the threshold.

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

    def as_dict(self) -> dict[str, Any]:
        """For parity.json."""
        return asdict(self)


def describe_flips(
    reference: PredictionSet,
    candidate: PredictionSet,
    flips: Flips,
    *,
    threshold: float,
    output: ScoreTensor | None,
) -> tuple[FlippedImage, ...]:
    """The flips with their scores, by kind, those that moved farthest first."""
    position = {image_id: number for number, image_id in enumerate(reference.image_ids)}
    members: dict[str, tuple[str, ...]] = {kind: getattr(flips, kind) for kind in KIND_NAMES}
    described: list[FlippedImage] = []
    for kind, image_ids in members.items():
        found = [
            _describe(
                image_id,
                kind,
                float(reference.scores[position[image_id]]),
                float(candidate.scores[position[image_id]]),
                threshold,
                output,
            )
            for image_id in image_ids
        ]
        described += _farthest_first(found)
    return tuple(described)


def integer_of(output: ScoreTensor | None, score: float) -> int | None:
    """What an integer output holds for a score; none for a float output or an unknown one."""
    if output is None or output.quantization.is_float:
        return None
    wanted = np.array([score])
    integers = output.quantization.quantize(logit(wanted) if output.is_logit else wanted)
    return int(integers[0])


def _describe(
    image_id: str,
    kind: str,
    before: float,
    after: float,
    threshold: float,
    output: ScoreTensor | None,
) -> FlippedImage:
    return FlippedImage(
        image_id=image_id,
        kind=kind,
        reference_score=before,
        candidate_score=after,
        reference_distance=before - threshold,
        candidate_distance=after - threshold,
        reference_integer=integer_of(output, before),
        candidate_integer=integer_of(output, after),
    )


def _farthest_first(images: Iterable[FlippedImage]) -> list[FlippedImage]:
    return sorted(images, key=lambda image: -abs(image.reference_score - image.candidate_score))


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
