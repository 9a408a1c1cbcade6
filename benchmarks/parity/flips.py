"""Every picture that the two models decide differently, by how much: what a reader looks at first.

Lost malignant pictures come first, then gained ones, new false alarms and cleared ones.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edge_melanoma.benchmarks.parity.quality import Flips
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.tflite.quantization import ScoreTensor, logit

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
