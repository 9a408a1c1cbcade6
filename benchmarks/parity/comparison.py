"""Two models on the same pictures: what the candidate lost, what it gained, and what chance allows.

Reference is the trained network, candidate the file for the phone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edge_melanoma.benchmarks.parity.paired_tests import exact_mcnemar, score_upper_bound
from edge_melanoma.evaluation.metrics import Metrics, measure
from edge_melanoma.evaluation.predictions import PredictionSet, refuse_other_images
from edge_melanoma.tflite.quantization import ScoreTensor

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
