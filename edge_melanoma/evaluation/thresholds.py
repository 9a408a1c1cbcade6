"""The operating point: the threshold that reaches a recall, chosen on validation alone."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.clinics import LEAST_JUDGED
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.metrics import Interval, count_confusions, wilson_interval
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.evaluation.promises import Demand, Promise, choose_promise, describe_promise
from edge_melanoma.evaluation.sources import shares_within, without_carcinomas
from edge_melanoma.tflite.quantization import ScoreTensor

DEFAULT_MIN_RECALL = 0.95
LEAST_RECALL_BOUND = 0.85
"""Of the recall's 95 % interval the lower end, in every source, where nothing else is asked for."""
TOLD_WITHIN = ("recall", "recall_interval", "specificity", "malignant", "benign")


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """A threshold and what it does on the validation side; shares in 0..1.

    `min_recall` is the recall that was asked for, and `min_recall_bound` what the lower end of its
    95 % interval had to be: one of them is none. Where the validation side has several sources, the
    rule held in each of those of `within`, for melanomas alone, and `deciding` is the source that
    set the threshold.
    """

    threshold: float
    min_recall: float | None
    recall: float
    recall_interval: Interval
    specificity: float
    malignant: int
    benign: int
    source: str = "validation"
    min_recall_bound: float | None = None
    deciding: str | None = None
    within: dict[str, dict[str, float]] = field(default_factory=dict)


def describe_rule(point: Mapping[str, Any]) -> str:
    """What the threshold of an operating point keeps, as manifests have it, part of a sentence."""
    if promise := point.get("promise"):
        return describe_promise(promise)
    where = " in every clinic" if point.get("within") else ""
    if point["min_recall"] is None:
        return f"the lower 95 % bound of recall at least {point['min_recall_bound']:g}{where}"
    return f"recall at least {point['min_recall']:g}{where}"


def refuse_impossible_recall(min_recall: float | None) -> None:
    """A recall that can be asked for is more than 0 and at most 1.

    Raises:
        EdgeMelanomaError: it is another number.
    """
    if min_recall is not None and not 0 < min_recall <= 1:
        raise EdgeMelanomaError(
            f"--min-recall is {min_recall}; expected more than 0 and at most 1, such as 0.95."
        )


def choose_operating_point(
    validation: PredictionSet, *, min_recall: float | None = None
) -> OperatingPoint:
    """The highest threshold, with the fewest false alarms, that misses no more than is allowed.

    Of several sources with enough melanomas the worst decides: without `min_recall` the lower 95 %
    bound of recall is to be 0.85 in each. Of one, or where origins are not known, recall over all
    malignant pictures is to be 0.95. The threshold lies half-way to the next lower score, so that
    rounding cannot lose the picture that decides.

    Raises:
        EdgeMelanomaError: `min_recall` is outside 0..1, or no malignant or no benign images.
    """
    refuse_impossible_recall(min_recall)
    malignant = int(validation.labels.sum())
    benign = len(validation.labels) - malignant
    if not malignant or not benign:
        raise EdgeMelanomaError(
            f"{benign} benign and {malignant} malignant validation images: an operating point "
            f"needs at least one image of each class."
        )
    groups = _judged_melanomas(validation)
    bound = LEAST_RECALL_BOUND if min_recall is None and len(groups) > 1 else None
    if len(groups) < 2:
        groups = {"": validation.scores[validation.labels]}
    target = None if bound else min_recall or DEFAULT_MIN_RECALL
    deciding, name = min(
        (np.sort(scores)[-_least_found(len(scores), min_recall=target, bound=bound)], name)
        for name, scores in groups.items()
    )
    lower = validation.scores[validation.scores < deciding]
    threshold = float((deciding + lower.max()) / 2 if len(lower) else deciding)
    several = len(groups) > 1
    inside = shares_within(validation, threshold=threshold) if several else {}
    return replace(
        _measure_point(validation, threshold, min_recall=target),
        min_recall_bound=bound,
        deciding=name if several else None,
        within={
            source: {key: found[key] for key in TOLD_WITHIN}
            for source, found in inside.items()
            if source in groups
        },
    )


def _measure_point(
    validation: PredictionSet, threshold: float, *, min_recall: float | None
) -> OperatingPoint:
    counts = count_confusions(validation, threshold=threshold)
    malignant = counts.true_positive + counts.false_negative
    benign = counts.true_negative + counts.false_positive
    return OperatingPoint(
        threshold=threshold,
        min_recall=min_recall,
        recall=counts.true_positive / malignant,
        recall_interval=wilson_interval(counts.true_positive, malignant),
        specificity=counts.true_negative / benign,
        malignant=malignant,
        benign=benign,
    )


def _judged_melanomas(validation: PredictionSet) -> dict[str, NDArray[np.float64]]:
    """The scores of the melanomas of each source that can reach the bound at all."""
    found = {}
    for name, own in without_carcinomas(validation).by_source().items():
        scores = own.scores[own.labels]
        enough = min(len(scores), len(own.labels) - len(scores)) >= LEAST_JUDGED
        if enough and wilson_interval(len(scores), len(scores))[0] >= LEAST_RECALL_BOUND:
            found[name] = scores
    return found


def _least_found(total: int, *, min_recall: float | None, bound: float | None) -> int:
    """How many of `total` malignant pictures have to be found."""
    if bound is not None:
        return next(n for n in range(total + 1) if wilson_interval(n, total)[0] >= bound)
    assert min_recall is not None
    # The small number keeps 0.95 * 20 from becoming 20 by the last bit of its product.
    return max(1, int(np.ceil(min_recall * total - 1e-9)))


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOperatingPoint:
    """An operating point of an exported file, in its own output's numbers.

    A picture is malignant if the output is at least `integer`, or, which is the same, if its score
    is at least the threshold; a float output, or a network itself, has no integer. Where there are
    three answers, what is below is not flagged, what reaches the upper threshold of `promise` is
    flagged, and the rest is to be seen anyway.
    """

    point: OperatingPoint
    integer: int | None = None
    output: ScoreTensor | None = None
    promise: Promise | None = None
    upper_integer: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """For manifests, the threshold first."""
        told = asdict(self.point)
        threshold = told.pop("threshold")
        own: dict[str, Any] = {"threshold": threshold}
        if self.output is not None:
            output = self.output.quantization.as_dict() | {"name": self.output.name}
            own |= {"integer": self.integer, "output": output}
        return {**own, **told, **self._promised()}

    def _promised(self) -> dict[str, Any]:
        if self.promise is None:
            return {}
        told = {
            **asdict(self.promise.demand),
            "lower": {"threshold": self.point.threshold, "integer": self.integer},
            "upper": {"threshold": self.promise.upper, "integer": self.upper_integer},
            "clinics": self.promise.clinics,
        }
        return {"promise": told}


def choose_point(
    validation: PredictionSet, *, min_recall: float | None, demand: Demand | None
) -> FileOperatingPoint:
    """The operating point of a network; with a demand, the lower one of two thresholds.

    So whoever knows of one threshold alone calls malignant what is to be seen anyway.

    Raises:
        EdgeMelanomaError: as `choose_operating_point` and `choose_promise`.
    """
    if demand is None:
        point = choose_operating_point(validation, min_recall=min_recall)
        return FileOperatingPoint(point=point)
    promise = choose_promise(validation, demand)
    point = _measure_point(validation, promise.lower, min_recall=1 - demand.max_miss)
    return FileOperatingPoint(point=point, promise=promise)


def snap_to_output(
    point: OperatingPoint, output: ScoreTensor, promise: Promise | None = None
) -> FileOperatingPoint:
    """The operating point of a file on the grid of its output; every decision stays.

    Raises:
        ValueError: no score of the output reaches the threshold.
    """
    threshold, integer = snap_threshold(point.threshold, output)
    point = replace(point, threshold=threshold)
    if promise is None:
        return FileOperatingPoint(point=point, integer=integer, output=output)
    upper, upper_integer = snap_threshold(promise.upper, output)
    return FileOperatingPoint(
        point=point,
        integer=integer,
        output=output,
        promise=replace(promise, lower=threshold, upper=upper),
        upper_integer=upper_integer,
    )


def snap_threshold(threshold: float, output: ScoreTensor) -> tuple[float, int | None]:
    """A threshold on the grid of an output, and the integer from which on it is reached.

    It is put half-way between the scores of the integer and of the one below, so that the rounding
    of another language's arithmetic cannot tip a decision. Where even the lowest integer is
    malignant it is that one's score.

    Raises:
        ValueError: no score of the output reaches the threshold.
    """
    if output.quantization.is_float:
        return threshold, None
    dtype = np.dtype(output.quantization.dtype)
    integers = np.arange(np.iinfo(dtype).min, np.iinfo(dtype).max + 1)
    scores = output.scores(integers.astype(dtype))
    # Scores do not fall: the first that is reached, as several integers may share the score 1.
    first = int(np.searchsorted(scores, threshold, side="left"))
    if first == len(scores):
        raise ValueError(f"no score of the output reaches the threshold {threshold}")
    reached, missed = scores[first], scores[first - 1] if first else scores[0]
    between = (reached + missed) / 2
    # Of two neighbouring numbers the half-way one may be the lower.
    return float(between if between > missed else reached), int(integers[first])
