"""What the JSON files of results hold, as far as it is read: a field is added here alone.

Fields that are not named are kept and not looked at.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from edge_melanoma.data.images import ResizeId
from edge_melanoma.machine.schemas import (
    LARGEST_LIST_BYTES,
    Count,
    Name,
    Recorded,
    Share,
    Text,
    read_json,
)
from edge_melanoma.runs.manifests import Counted, Dataset, Interval, MayBeCounted

EVALUATION = "evaluation.json"


class Metrics(TypedDict):
    recall: Share | None
    specificity: Share | None
    precision: Share | None
    f1: Share | None
    accuracy: Share | None
    auc: Share | None


class Measured(TypedDict):
    """Figures at a threshold."""

    threshold: Share
    metrics: Metrics
    intervals: dict[str, Interval | None]


class Source(Counted):
    """Figures within one source."""

    judged: bool
    auc: Share | None
    interval: Interval | None
    recall: Share | None
    specificity: Share | None
    calibration_error: Share | None


class Keratosis(TypedDict):
    auc: Share
    malignant: Count
    keratoses: Count


class Bin(TypedDict):
    images: Count


class Reliability(TypedDict):
    ece: Share
    ece_interval: Interval
    ece_if_perfect: Share
    ece_if_perfect_upper95: Share
    brier: Share
    bins: list[Bin]


class RiskAt(TypedDict):
    coverage: Share
    risk: Share
    risk_interval: Interval


class RiskCoverage(TypedDict):
    rows: list[RiskAt]


class Judged(TypedDict):
    """What is told of a set, whichever threshold is taken."""

    within_source: NotRequired[dict[str, Source]]
    macro_auc: NotRequired[Share | None]
    macro_recall: NotRequired[Share | None]
    macro_specificity: NotRequired[Share | None]
    macro_auc_interval: NotRequired[Interval | None]
    source_matrix: NotRequired[dict[str, dict[str, Share]]]
    melanoma_against_keratosis: NotRequired[Keratosis | None]
    calibration: NotRequired[Reliability]
    risk_coverage: NotRequired[RiskCoverage | None]


class AtBoth(Judged, MayBeCounted):
    """A set at the operating point and at one half."""

    at_half: Measured
    at_operating_point: Measured


class Outside(AtBoth):
    """A set from elsewhere; without the pictures that were learned from."""

    dataset: Dataset
    left_out: Count
    left_out_images: list[Text]
    compared_by: Text


class LeftOutOfSet(TypedDict):
    left_out_images: list[Text]


class SetsFromElsewhere(TypedDict):
    external: NotRequired[dict[Name, LeftOutOfSet]]


class Sides(TypedDict):
    train: AtBoth
    validation: AtBoth
    test: AtBoth
    test_without_leaked: NotRequired[AtBoth]


class Evaluation(TypedDict):
    """evaluation.json of a run."""

    dataset: Dataset
    sides: Sides
    external: NotRequired[dict[Name, Outside]]


class AtThreshold(Measured, Judged, MayBeCounted):
    """A set at a file's own threshold."""


class OutsideAtThreshold(AtThreshold):
    dataset: Dataset


class FileEvaluation(AtThreshold):
    """What `evaluate --json` writes of a .tflite file."""

    model: Recorded
    resize: NotRequired[ResizeId]
    dataset: Dataset
    test_without_leaked: NotRequired[AtThreshold]
    external: dict[Name, OutsideAtThreshold]


def read_left_out(folder: Path) -> dict[str, Sequence[str]]:
    """The pictures of sets from elsewhere that evaluation.json names as learned from, by set."""
    told = read_json(folder / EVALUATION, SetsFromElsewhere, most=LARGEST_LIST_BYTES)
    return {name: one["left_out_images"] for name, one in told.get("external", {}).items()}


def read_evaluation(folder: Path) -> dict[str, Any]:
    """evaluation.json of a run."""
    return read_json(folder / EVALUATION, Evaluation, most=LARGEST_LIST_BYTES)
