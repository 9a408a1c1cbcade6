"""Two models on the same pictures: what the candidate lost, what it gained, and what chance allows.

Reference is the trained network, candidate the file for the phone.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edge_melanoma.benchmarks.parity.paired_tests import exact_mcnemar, score_upper_bound
from edge_melanoma.evaluation.evaluation import CONVENTIONAL_THRESHOLD
from edge_melanoma.evaluation.metrics import (
    Metrics,
    count_confusions,
    measure,
    measure_intervals,
)
from edge_melanoma.evaluation.predictions import PredictionSet, refuse_other_images
from edge_melanoma.tflite.quantization import ScoreTensor, logit

NO_POINT_OF_ITS_OWN = "the file has no operating point of its own, which a new export gives it"
KIND_NAMES = {
    "lost_malignant": "Lost malignant",
    "gained_malignant": "Gained malignant",
    "new_false_alarm": "New false alarm",
    "cleared_false_alarm": "Cleared false alarm",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flips:
    """Pictures that the two models decide differently, by what it means for the patient."""

    lost_malignant: tuple[str, ...]
    gained_malignant: tuple[str, ...]
    new_false_alarm: tuple[str, ...]
    cleared_false_alarm: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """Numbers by kind, lost malignant first."""
        return {kind: len(getattr(self, kind)) for kind in KIND_NAMES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A candidate against its reference, each at a threshold; drops are reference minus candidate.

    `scores` are the two sets, `threshold` is the reference's. `output` is the tensor that the
    candidate's scores are of; it and `ties` are none where that is not known.
    `recall_drop_upper95` is Tango's one-sided bound, which margins are held against.
    """

    scores: tuple[PredictionSet, PredictionSet]
    threshold: float
    output: ScoreTensor | None
    reference: Metrics
    candidate: Metrics
    flips: Flips
    ties: Mapping[str, int] | None
    distinct_scores: int
    agreement: float
    max_score_difference: float
    mean_score_difference: float
    mcnemar_p: float
    recall_drop_upper95: float

    def drops(self) -> dict[str, float | None]:
        """Every metric's drop, recall first; negative where the candidate is better.

        None where a metric of one of the two is undefined.
        """
        candidate = self.candidate.as_dict()
        return {
            name: subtract(value, candidate[name])
            for name, value in self.reference.as_dict().items()
        }


def subtract(reference: float | None, candidate: float | None) -> float | None:
    """A drop; none where one of the two is undefined."""
    return None if reference is None or candidate is None else reference - candidate


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
        scores=(reference, candidate),
        threshold=threshold,
        output=output,
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
        recall_drop_upper95=score_upper_bound(
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


def find_ties(
    predictions: PredictionSet, *, threshold: float, output: ScoreTensor
) -> dict[str, int]:
    """How many pictures, and malignant ones, `output` gives the value that it gives the threshold.

    They are all decided alike, whichever side the threshold was rounded to. An integer output
    rounds it to one of its steps, a logit to a step of the logit; a float output has a tie where
    the numbers are equal.
    """
    tied = predictions.scores == output.nearest_score(threshold)
    return {"images": int(tied.sum()), "malignant": int((tied & predictions.labels).sum())}


def describe_flips(comparison: Comparison) -> list[dict[str, Any]]:
    """The flips with their scores, by kind, those that moved farthest first.

    A distance is the score minus the threshold. Integers are what the candidate's output tensor
    held and what it would hold for the reference's score; none where it is float, or not known.
    """
    reference, candidate = comparison.scores
    scores = np.stack([reference.scores, candidate.scores], axis=1).tolist()
    scores_of = dict(zip(reference.image_ids, scores, strict=True))
    described: list[dict[str, Any]] = []
    for kind in KIND_NAMES:
        found = []
        for image_id in getattr(comparison.flips, kind):
            before, after = scores_of[image_id]
            found.append(
                {
                    "image_id": image_id,
                    "kind": kind,
                    "reference_score": before,
                    "candidate_score": after,
                    "reference_distance": before - comparison.threshold,
                    "candidate_distance": after - comparison.threshold,
                    "reference_integer": integer_of(comparison.output, before),
                    "candidate_integer": integer_of(comparison.output, after),
                }
            )
        described += sorted(
            found, key=lambda one: -abs(one["reference_score"] - one["candidate_score"])
        )
    return described


def integer_of(output: ScoreTensor | None, score: float) -> int | None:
    """What an integer output holds for a score; none for a float output or an unknown one."""
    if output is None or output.quantization.is_float:
        return None
    wanted = np.array([score])
    integers = output.quantization.quantize(logit(wanted) if output.is_logit else wanted)
    return int(integers[0])


def own_point_of(manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """The operating point that an export's manifest names; none if it names none.

    The candidate's `threshold`, chosen on validation with its own scores for `min_recall`;
    `integer` is the first output that is called malignant, where the output is an integer.
    """
    point = manifest.get("operating_point")
    if not isinstance(point, Mapping) or point.get("threshold") is None:
        return None
    rest = {name: point.get(name) for name in ("integer", "min_recall")}
    return {"threshold": float(point["threshold"]), **rest}


def compare_at_points(
    comparison: Comparison, *, own: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """At 0.5, at the reference's operating point, and with each model at its own.

    A candidate whose scores are shifted as a whole flips pictures at the reference's threshold and
    none at its own: the third comparison tells a shift from a loss. `comparison` is that at the
    reference's operating point. At its own threshold, by which a phone decides, further figures of
    the candidate are told, or in `missing` why it has none.
    """
    (reference, candidate), threshold = comparison.scores, comparison.threshold
    half = CONVENTIONAL_THRESHOLD
    points = [
        _point("half", half, half) | _compared(compare(reference, candidate, threshold=half)),
        _point("reference", threshold, threshold) | _compared(comparison),
    ]
    if own is None:
        return [*points, _point("own", threshold, None, missing=NO_POINT_OF_ITS_OWN)]
    at = own["threshold"]
    at_own = compare(reference, candidate, threshold=threshold, candidate_threshold=at)
    figures = {
        "min_recall": own["min_recall"],
        "intervals": measure_intervals(candidate, threshold=at),
        "confusion": asdict(count_confusions(candidate, threshold=at)),
    }
    return [*points, _point("own", threshold, at, own["integer"]) | _compared(at_own) | figures]


def _point(
    name: str,
    reference_threshold: float,
    candidate_threshold: float | None,
    candidate_integer: int | None = None,
    missing: str | None = None,
) -> dict[str, Any]:
    return {
        "name": name,
        "reference_threshold": reference_threshold,
        "candidate_threshold": candidate_threshold,
        "candidate_integer": candidate_integer,
        "missing": missing,
    }


def _compared(comparison: Comparison) -> dict[str, Any]:
    return {
        "reference": comparison.reference.as_dict(),
        "candidate": comparison.candidate.as_dict(),
        "drop": comparison.drops(),
        "agreement": comparison.agreement,
        "flips": comparison.flips.counts(),
        "recall_drop_upper95": comparison.recall_drop_upper95,
    }
