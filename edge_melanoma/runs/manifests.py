"""What the JSON files of a run hold, as far as it is read: a field is added here and nowhere else.

Fields that are not named are kept and not looked at.
"""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

from edge_melanoma.data.images import ResizeId
from edge_melanoma.data.labels import Group
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.schemas import (
    LARGEST_LIST_BYTES,
    Count,
    Inside,
    Integer,
    Name,
    Number,
    Recorded,
    Sha256,
    Share,
    Text,
    read_json,
)
from edge_melanoma.tflite.gate import GateBlock
from edge_melanoma.tflite.metadata import PromiseBlock, Tensor
from edge_melanoma.tflite.modes import Mode

SPLIT = "split.json"
EVALUATION = "evaluation.json"

Interval = tuple[Share, Share]
Side = Annotated[int, Meta(ge=32, le=1024)]
"""Of a picture, in pixels."""
Views = Literal[1, 8]


class Variant(StrEnum):
    """The name of a recipe."""

    BEST = "best"
    FROZEN = "frozen"
    PARTIAL = "partial"
    AUGMENTED = "augmented"
    SCRATCH = "scratch"
    COMPACT = "compact"
    IMPORTED = "imported"
    """Trained elsewhere: its manifest holds what the others have in `VARIANTS`."""


class Reading(TypedDict):
    labels: list[tuple[str | None, Text]]
    malignant: list[str]
    group: Group | None


class Card(TypedDict):
    """dataset.toml, as results repeat it."""

    source: str
    licence: str
    geometry: str
    label_definition: str
    url: NotRequired[str | None]
    doi: str | None


class Dataset(TypedDict):
    name: Text
    images: NotRequired[Count]
    benign: NotRequired[Count]
    malignant: NotRequired[Count]
    fingerprint: NotRequired[Sha256]
    card: NotRequired[Card | None]
    cards: NotRequired[dict[str, Card | None]]


class TrainedOn(Dataset):
    folders: dict[Text, Text]
    reading: NotRequired[Reading]


class Counted(TypedDict):
    malignant: Count
    benign: Count


class OperatingPoint(TypedDict):
    """Of a run that was imported without pictures it has a threshold alone."""

    threshold: Share
    source: NotRequired[Text]
    min_recall: NotRequired[Share | None]
    min_recall_bound: NotRequired[Share | None]
    recall: NotRequired[Share]
    recall_interval: NotRequired[Interval]
    specificity: NotRequired[Share]
    malignant: NotRequired[Count]
    benign: NotRequired[Count]
    deciding: NotRequired[Text | None]
    within: NotRequired[dict[Text, Counted]]


class Shape(TypedDict):
    alpha: NotRequired[Annotated[float, Meta(gt=0, le=2)]]
    image_size: NotRequired[Side]
    border: NotRequired[Annotated[float, Meta(ge=-1, le=1)]]
    classes: NotRequired[Annotated[int, Meta(ge=0, le=1000)]]
    malignant_classes: NotRequired[Annotated[int, Meta(ge=0, le=1000)]]


class Recipe(TypedDict):
    views: NotRequired[Views]
    shape: NotRequired[Shape]
    half_precision: NotRequired[bool]
    dense_units: NotRequired[Annotated[int, Meta(ge=0, le=8192)]]
    dropout: NotRequired[Share]
    last_layer: NotRequired[Text]
    batch_size: NotRequired[Count]
    diagnosis_loss: NotRequired[Number]


class SplitBlock(TypedDict):
    kind: Literal["pooled", "folders"]
    seed: Integer
    fingerprint: Text


class LeftOut(TypedDict):
    unreadable: list[Any]
    also_in_test: list[Text]


class Settings(TypedDict):
    weights: NotRequired[Text]
    seed: NotRequired[Integer]
    batch_size: NotRequired[Count | None]


class Training(TypedDict):
    seconds: Annotated[float, Meta(ge=0, le=1e12)]


class Environment(TypedDict):
    edge_melanoma: NotRequired[Text]
    python: NotRequired[Text]
    cpu: NotRequired[str | None]
    packages: NotRequired[dict[str, str | None]]


class Scaling(TypedDict):
    temperature: Annotated[float, Meta(gt=0, le=1e6)]
    offset: Number
    side: Text
    images: Count


class Teacher(TypedDict):
    variant: Variant


class RunManifest(TypedDict):
    """manifest.json of a run."""

    variant: Variant
    operating_point: OperatingPoint
    files: dict[Inside, Recorded]
    gate: NotRequired[GateBlock | None]
    resize: NotRequired[ResizeId]
    dataset: NotRequired[TrainedOn]
    split: NotRequired[SplitBlock]
    left_out: NotRequired[LeftOut]
    recipe: NotRequired[Recipe]
    settings: NotRequired[Settings]
    training: NotRequired[Training]
    environment: NotRequired[Environment]
    calibration: NotRequired[Scaling | None]
    teacher: NotRequired[Teacher | None]
    external: NotRequired[dict[Name, Text]]
    external_reading: NotRequired[dict[Name, Reading]]


class FilePoint(Counted):
    """The operating point of an export: in steps of its output too, where that has some."""

    threshold: Share
    integer: Integer | None
    min_recall: Share | None
    min_recall_bound: NotRequired[Share | None]
    recall: Share
    recall_interval: Interval
    specificity: Share
    source: Text
    within: NotRequired[dict[Text, Counted]]
    promise: NotRequired[PromiseBlock]


class Calibration(TypedDict):
    images: Count
    benign: Count
    malignant: Count
    ids: NotRequired[list[Text]]


class Tuning(TypedDict):
    epochs: NotRequired[Count]


class ExportManifest(TypedDict):
    """The .json beside an exported model."""

    sha256: Sha256
    mode: NotRequired[Mode]
    source_sha256: NotRequired[Sha256]
    variant: NotRequired[Variant]
    resize: NotRequired[ResizeId]
    views: NotRequired[Views]
    gate: NotRequired[GateBlock | None]
    gate_sha256: NotRequired[Sha256 | None]
    size_bytes: NotRequired[Count]
    input: NotRequired[Tensor]
    output: NotRequired[Tensor]
    threshold: NotRequired[Share]
    operating_point: NotRequired[FilePoint | None]
    calibration: NotRequired[Calibration | None]
    companions: NotRequired[dict[Name, Recorded]]
    validation_scores: NotRequired[Recorded | None]
    best_epoch: NotRequired[Count]
    float_layers: NotRequired[list[Text]]
    tuning: NotRequired[Tuning | None]
    with_map: NotRequired[bool]


class BenchRecord(TypedDict):
    """files.json of a bench."""

    source_sha256: Sha256
    files: dict[Inside, Recorded]


class Split(TypedDict):
    """split.json: the image ids of each side, and each picture's hash."""

    train: list[Text]
    validation: list[Text]
    test: list[Text]
    sha256: dict[Text, Sha256]
    left_out: NotRequired[list[Text]]
    leaked_test: NotRequired[list[Text]]
    kin: NotRequired[list[Text]]


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


class AtBoth(Judged):
    """A set at the operating point and at one half."""

    images: NotRequired[Count]
    malignant: NotRequired[Count]
    benign: NotRequired[Count]
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


class MeasuredModel(TypedDict):
    """The reference of a parity.json."""

    mode: str
    runtime: str
    sha256: Sha256
    size_bytes: Count
    metrics: Metrics
    intervals: dict[str, Interval | None]
    calibration: Reliability


class Candidate(MeasuredModel):
    mode: Mode  # type: ignore[misc]  # narrower than that of the reference
    verdict: Literal["pass", "fail", "inconclusive"]
    drop: dict[str, Number | None]
    flips: dict[str, Count]
    agreement: Share
    failures: list[str]
    inconclusive: list[str]


class DecidedAt(TypedDict):
    reference: Share
    source: str


class Machine(TypedDict):
    cpu: str | None
    load: Number
    contaminated: bool


class Table(TypedDict):
    title: str
    columns: list[str]
    rows: list[list[str]]
    note: str


class Contract(TypedDict):
    source: str
    on_inconclusive: Literal["pass", "fail"]


class Parity(TypedDict):
    """parity.json of a bench."""

    dataset: Dataset
    resize: NotRequired[ResizeId]
    threshold: DecidedAt
    machine: Machine
    contract: Contract
    reference: MeasuredModel
    candidates: list[Candidate]
    tables: list[Table]
    external: list[Any]


class JudgedFile(TypedDict):
    sha256: Sha256


class AtThreshold(Measured, Judged):
    images: NotRequired[Count]
    benign: NotRequired[Count]
    malignant: NotRequired[Count]


class OutsideAtThreshold(AtThreshold):
    dataset: Dataset


class FileEvaluation(AtThreshold):
    """What `evaluate --json` writes of a .tflite file."""

    model: JudgedFile
    resize: NotRequired[ResizeId]
    dataset: Dataset
    test_without_leaked: NotRequired[AtThreshold]
    external: dict[Name, OutsideAtThreshold]


def read_split(folder: Path) -> dict[str, Any]:
    """split.json of a run.

    Raises:
        EdgeMelanomaError: it cannot be used, or names a picture without a hash.
    """
    path = folder / SPLIT
    split = read_json(path, Split, most=LARGEST_LIST_BYTES)
    for side in ("train", "validation", "test"):
        if missing := next((name for name in split[side] if name not in split["sha256"]), None):
            raise EdgeMelanomaError(
                f"{path} has no sha256 of the {side} image {missing}; restore the file."
            )
    return split


def read_left_out(folder: Path) -> dict[str, Sequence[str]]:
    """The pictures of sets from elsewhere that evaluation.json names as learned from, by set."""
    told = read_json(folder / EVALUATION, SetsFromElsewhere, most=LARGEST_LIST_BYTES)
    return {name: one["left_out_images"] for name, one in told.get("external", {}).items()}


def read_evaluation(folder: Path) -> dict[str, Any]:
    """evaluation.json of a run."""
    return read_json(folder / EVALUATION, Evaluation, most=LARGEST_LIST_BYTES)
