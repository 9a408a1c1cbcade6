"""Whether the clinic tells the class, and whether pictures of one lesion stand on two sides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_melanoma.data.clinics import auc_of_source, count_sources, describe_sources
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.splits import find_divided

Group = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFindings:
    """Of all pictures together.

    `counts` are benign and malignant pictures by source; `auc` is that of a model that knows of a
    picture nothing but its source, none where one class is missing; `notes` are sentences.
    `lesion_leaks` are groups of pictures of one lesion or patient, by image id, on two given sides,
    and `lesion_conflicts` those of one lesion or photograph with both labels.
    """

    counts: Mapping[str, tuple[int, int]]
    auc: float | None
    notes: tuple[str, ...]
    lesion_leaks: tuple[Group, ...]
    lesion_conflicts: tuple[Group, ...]


def examine_sources(records: Sequence[LesionRecord]) -> SourceFindings:
    """What the tables say of clinics and lesions; pixels play no part in it."""
    counts = count_sources(records)
    return SourceFindings(
        counts=counts,
        auc=auc_of_source(counts),
        notes=tuple(describe_sources(counts)),
        lesion_leaks=find_divided(records, "side"),
        lesion_conflicts=find_divided(records, "is_malignant", by_patient=False),
    )
