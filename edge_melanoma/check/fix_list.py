"""Which files to remove so that no picture is unreadable, doubled, leaked or of two labels."""

from collections.abc import Sequence
from dataclasses import dataclass

from edge_melanoma.check.data_report import DataReport
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.errors import printable

SIDE_ORDER = ("test", "validation", "train", None)
"""What stays where copies are on several sides: the test folder is what results are known on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A file to remove, and why."""

    image_id: str
    reason: str


def list_removals(report: DataReport) -> tuple[Removal, ...]:
    """One entry a file, sorted; once they are gone the same report finds no leak and no conflict.

    Of copies with opposite labels all go; of copies in several sets those in the set given first
    stay, of those the ones in test, and of equal pictures the first.
    """
    order = {summary.name: number for number, summary in enumerate(report.sets)}
    records = {record.image_id: record for record in report.prints.records}
    reasons = {bad.image_id: "unreadable" for bad in report.bad}
    for conflict in report.conflicts:
        for image_id in conflict:
            others = [other for other in conflict if other != image_id]
            reasons[image_id] = f"copies with both labels: {others[0]}"
    for cluster in report.duplicates.clusters:
        members = [records[image_id] for image_id in cluster if image_id not in reasons]
        reasons |= _leaking(members, order)
    for group in report.exact:
        kept = [image_id for image_id in group if image_id not in reasons]
        reasons |= {image_id: f"same pixels as {kept[0]}" for image_id in kept[1:]}
    return tuple(Removal(image_id=name, reason=reasons[name]) for name in sorted(reasons))


def removals_to_text(removals: Sequence[Removal]) -> str:
    """A line a file: its name, in which line breaks are escaped, a tab, the reason."""
    return "".join(
        f"{printable(removal.image_id)}\t{printable(removal.reason)}\n" for removal in removals
    )


def _leaking(members: Sequence[LesionRecord], order: dict[str, int]) -> dict[str, str]:
    """What of a cluster stands in another place than its best one."""

    def place(record: LesionRecord) -> tuple[int, int]:
        return order.get(record.source or "", 0), SIDE_ORDER.index(record.side)

    if not members:
        return {}
    best = min(members, key=place)
    return {
        record.image_id: f"copy of {best.image_id}"
        for record in members
        if place(record) != place(best)
    }
