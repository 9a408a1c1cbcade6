"""All that is found out about one candidate beside its metrics: the evidence behind the verdict.

Every picture that the two models decide differently, parity at three thresholds, and what the
pictures can prove at all.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edge_melanoma.benchmarks.parity.comparison import KIND_NAMES, Comparison, compare
from edge_melanoma.benchmarks.parity.paired_tests import proof_limits
from edge_melanoma.benchmarks.parity.statistics import PairedStatistics, study_drops
from edge_melanoma.evaluation.evaluation import CONVENTIONAL_THRESHOLD
from edge_melanoma.evaluation.metrics import count_confusions, measure_intervals
from edge_melanoma.tflite.quantization import ScoreTensor, logit

NO_POINT_OF_ITS_OWN = "the file has no operating point of its own, which a new export gives it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Statistics, and in `details` what else parity.json tells: thresholds, flips, tensors.

    `is_full_int8` is none where the file was not looked into.
    """

    statistics: PairedStatistics
    is_full_int8: bool | None
    details: Mapping[str, Any]

    def limits(self, *, margin: float) -> dict[str, dict[str, Any]]:
        """What these numbers of malignant and of all images can prove about a drop of `margin`."""
        pairs = self.statistics.pairs
        return {name: proof_limits(**pairs[name], margin=margin) for name in ("recall", "accuracy")}

    def as_dict(self, margins: Mapping[str, float | None], *, margin: float) -> dict[str, Any]:
        """For parity.json."""
        return {
            **self.details,
            "full_int8": self.is_full_int8,
            "proof": self.limits(margin=margin),
            **self.statistics.as_dict(margins),
        }


def study_candidate(
    comparison: Comparison, *, manifest: Mapping[str, Any], is_full_int8: bool | None
) -> Findings:
    """Everything from a comparison at the reference's threshold.

    `manifest` is the export's, or empty.
    """
    output = comparison.output
    return Findings(
        statistics=study_drops(comparison),
        is_full_int8=is_full_int8,
        details={
            "operating_points": compare_at_points(comparison, own=own_point_of(manifest)),
            "flip_details": describe_flips(comparison),
            "threshold_integer": integer_of(output, comparison.threshold),
            "output": output and {"name": output.name, **output.quantization.as_dict()},
        },
    )


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
