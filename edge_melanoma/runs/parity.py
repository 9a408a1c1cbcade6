"""What parity.json of a bench holds, as far as it is read: a field is added here alone."""

from typing import Annotated, Literal, NotRequired, TypedDict

from msgspec import Meta

from edge_melanoma.data.images import ResizeId
from edge_melanoma.machine.schemas import Count, Integer, Number, Sha256, Share, Text
from edge_melanoma.runs.manifests import Card, Dataset, Interval
from edge_melanoma.runs.results import Metrics, Reliability
from edge_melanoma.tflite.modes import Mode

Verdict = Literal["pass", "fail", "inconclusive"]
Milliseconds = Annotated[float, Meta(gt=0, le=1e12)]
Bounds = tuple[Number, Number]


class Latency(TypedDict):
    p50: Milliseconds
    p90: Milliseconds
    p99: Milliseconds
    cpu_p50: Milliseconds


class Shares(TypedDict):
    """What is defined where both classes are there, as they are in every bench."""

    recall: Share
    specificity: Share
    accuracy: Share


class Figures(Shares):
    precision: Share | None
    f1: Share
    auc: Share


class MeasuredModel(TypedDict):
    """The reference of a parity.json."""

    mode: str
    runtime: str
    sha256: Sha256
    size_bytes: Count
    metrics: Figures
    intervals: dict[str, Interval | None]
    calibration: Reliability
    latency_ms: Latency | None


class Drop(TypedDict):
    recall: Number
    specificity: Number
    accuracy: Number
    auc: Number
    partial_auc: Number


class DropIntervals(TypedDict):
    recall: Bounds | None
    specificity: Bounds | None
    accuracy: Bounds | None
    auc: Bounds | None
    partial_auc: Bounds | None


class ShareIntervals(TypedDict):
    agreement: Interval | None


class Areas(TypedDict):
    reference: Number
    candidate: Number


class Ties(TypedDict):
    images: Count
    malignant: Count


class Tests(TypedDict):
    mcnemar_p: Share
    mcnemar_p_malignant: Share
    recall_drop_upper95: Number


class Check(TypedDict):
    """A rule of the contract."""

    rule: str
    limit: Number | bool | None
    measured: Number | bool | None
    verdict: Verdict


class PointDrop(TypedDict):
    recall: Number
    accuracy: Number


class AtPoint(TypedDict):
    """Both at one of three thresholds; the candidate's figures where it has one."""

    name: Literal["half", "reference", "own"]
    missing: str | None
    reference_threshold: Share
    candidate_threshold: Share | None
    candidate_integer: Integer | None
    reference: NotRequired[Shares]
    candidate: NotRequired[Shares]
    drop: NotRequired[PointDrop]
    agreement: NotRequired[Share]
    flips: NotRequired[dict[str, Count]]


class Flip(TypedDict):
    image_id: Text
    kind: Literal["lost_malignant", "gained_malignant", "new_false_alarm", "cleared_false_alarm"]
    reference_score: Share
    candidate_score: Share
    reference_distance: Number
    candidate_distance: Number
    reference_integer: Integer | None
    candidate_integer: Integer | None


class Limits(TypedDict):
    """What so many pairs can prove."""

    pairs: Count
    discordance: Share
    margin: Share
    smallest_margin_without_flips: Share
    smallest_margin_at_discordance: Share
    needed_without_flips: Count
    needed_at_discordance: Count
    needed_for_80_percent_power: Count


class Proof(TypedDict):
    recall: Limits


class Candidate(MeasuredModel):
    mode: Mode  # type: ignore[misc]  # narrower than that of the reference
    verdict: Verdict
    drop: Drop
    drop_intervals: DropIntervals
    share_intervals: ShareIntervals
    partial_auc: Areas
    flips: dict[str, Count]
    flip_details: list[Flip]
    ties_at_threshold: Ties
    agreement: Share
    tests: Tests
    checks: list[Check]
    operating_points: list[AtPoint]
    proof: Proof
    latency_ratio: Number | None
    failures: list[str]
    inconclusive: list[str]


class OwnPoint(TypedDict):
    missing: str | None
    candidate: NotRequired[Metrics]


class ModelOutside(TypedDict):
    """A model on a set from elsewhere; what one class alone does not define is none."""

    mode: str
    metrics: Metrics
    drop: NotRequired[dict[str, Number | None]]
    agreement: NotRequired[Share]
    flips: NotRequired[dict[str, Count]]
    operating_points: NotRequired[list[OwnPoint]]


class DecidedAt(TypedDict):
    reference: Share
    source: str


class Machine(TypedDict):
    cpu: str | None
    cores: Count | None
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


class BenchedSet(TypedDict):
    name: Text
    images: Count
    malignant: Count
    benign: Count
    fingerprint: Sha256
    card: NotRequired[Card | None]
    cards: NotRequired[dict[str, Card | None]]


class SetOutside(TypedDict):
    dataset: Dataset
    reference: ModelOutside
    candidates: list[ModelOutside]


class Parity(TypedDict):
    """parity.json of a bench."""

    dataset: BenchedSet
    resize: NotRequired[ResizeId]
    threshold: DecidedAt
    machine: Machine
    contract: Contract
    reference: MeasuredModel
    candidates: Annotated[list[Candidate], Meta(min_length=1)]
    tables: list[Table]
    external: list[SetOutside]
