"""What the JSON files of a run hold, as far as it is read: a field is added here and nowhere else.

Fields that are not named are kept and not looked at.
"""

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
from edge_melanoma.tflite.counts import CountsBlock
from edge_melanoma.tflite.gate import GateBlock
from edge_melanoma.tflite.metadata import PromiseBlock, Tensor
from edge_melanoma.tflite.modes import Mode

SPLIT = "split.json"

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


class MayBeCounted(TypedDict):
    images: NotRequired[Count]
    benign: NotRequired[Count]
    malignant: NotRequired[Count]


class Dataset(MayBeCounted):
    name: Text
    fingerprint: NotRequired[Sha256]
    card: NotRequired[Card | None]
    cards: NotRequired[dict[str, Card | None]]


class TrainedOn(Dataset):
    folders: dict[Text, Text]
    reading: NotRequired[Reading]


class Counted(TypedDict):
    malignant: Count
    benign: Count


class Point(TypedDict):
    threshold: Share
    min_recall_bound: NotRequired[Share | None]
    within: NotRequired[dict[Text, Counted]]


class OperatingPoint(Point):
    """Of a run that was imported without pictures it has a threshold alone."""

    source: NotRequired[Text]
    min_recall: NotRequired[Share | None]
    recall: NotRequired[Share]
    recall_interval: NotRequired[Interval]
    specificity: NotRequired[Share]
    malignant: NotRequired[Count]
    benign: NotRequired[Count]
    deciding: NotRequired[Text | None]


class Shape(TypedDict):
    alpha: NotRequired[Annotated[float, Meta(gt=0, le=2)]]
    image_size: NotRequired[Side]
    border: NotRequired[Annotated[float, Meta(ge=-1, le=1)]]
    classes: NotRequired[Annotated[int, Meta(ge=0, le=1000)]]
    malignant_classes: NotRequired[Annotated[int, Meta(ge=0, le=1000)]]


class Stage(TypedDict, total=False):
    name: Text
    unfrozen_backbone_layers: Count
    learning_rate: Number
    epochs: Count
    patience: Count | None
    image_size: Count
    average_decay: Share


class Recipe(TypedDict):
    stages: NotRequired[list[Stage]]
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


class FilePoint(Point, Counted):
    """The operating point of an export: in steps of its output too, where that has some."""

    integer: Integer | None
    min_recall: Share | None
    recall: Share
    recall_interval: Interval
    specificity: Share
    source: Text
    promise: NotRequired[PromiseBlock]


class Calibration(Counted):
    images: Count
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
    counts: NotRequired[CountsBlock | None]
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
