"""All that is found out about one candidate beside its metrics: the evidence behind the verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_melanoma.benchmarks.parity.flips import (
    KIND_NAMES,
    FlippedImage,
    describe_flips,
    integer_of,
)
from edge_melanoma.benchmarks.parity.paired_statistics import PairedStatistics, study_drops
from edge_melanoma.benchmarks.parity.proof import ProofLimits
from edge_melanoma.benchmarks.parity.quality import find_flips
from edge_melanoma.benchmarks.parity.threshold_parity import (
    ParityAtPoint,
    compare_at_points,
    own_point_of,
)
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.tflite.quantization import ScoreTensor


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
