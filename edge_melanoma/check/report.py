"""All that is to be known of data sets before training: bad files, copies, leaks, shortcuts.

And which files to remove, so that no picture is unreadable, doubled, leaked or of two labels.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from edge_melanoma.check.shortcuts import LEAST_IMAGES_A_CLASS, Shortcut, measure_shortcuts
from edge_melanoma.check.sources import SourceFindings, examine_sources
from edge_melanoma.data.copies.search import CopyKind, Duplicates, cluster_pairs, find_copies
from edge_melanoma.data.lesions import LesionRecord, list_lesions
from edge_melanoma.data.screening import BadImage, Fingerprints, read_fingerprints
from edge_melanoma.data.sets import list_skipped, name_records
from edge_melanoma.data.statistics import TrivialStatistics
from edge_melanoma.errors import printable
from edge_melanoma.machine.ray import RayWorkers
from edge_melanoma.machine.terminal import Reporter

SIZES_SHOWN = 5
SIDE_ORDER = ("test", "validation", "train", None)
"""What stays where copies are on several sides: the test folder is what results are known on."""
Group = tuple[str, ...]
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSummary:
    """One data set: its readable pictures by class, by given side and by size, and its shortcuts.

    `sizes` holds the most frequent ones as (width, height, pictures); `note` says why there are no
    shortcuts, where there are none.
    """

    name: str
    images: int
    benign: int
    malignant: int
    unreadable: int
    sides: dict[str, dict[str, int]]
    sizes: tuple[tuple[int, int, int], ...]
    shortcuts: tuple[Shortcut, ...]
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReport:
    """What was found in one data set or in several, by image id.

    Groups are clusters of copies of one another, of which the near ones hold more than exact copies
    of one picture; a leak is a pair of copies on two sides of one
    set, a crossing a pair of copies in two sets. `skipped` are files not taken for pictures.
    """

    sets: tuple[SetSummary, ...]
    skipped: tuple[str, ...]
    bad: tuple[BadImage, ...]
    exact: tuple[Group, ...]
    near: tuple[Group, ...]
    conflicts: tuple[Group, ...]
    leaks: tuple[Pair, ...]
    crossings: tuple[Pair, ...]
    sources: SourceFindings
    prints: Fingerprints
    duplicates: Duplicates


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A file to remove, and why."""

    image_id: str
    reason: str


def examine_data(
    folders: Mapping[str, Path],
    *,
    cache_folder: Path | None,
    reporter: Reporter,
    ray: RayWorkers | None = None,
) -> DataReport:
    """Read, compare and measure all pictures of the data sets; nothing found is an error.

    With `ray`, its actors read them.

    Raises:
        EdgeMelanomaError: a folder is missing, empty or not laid out as a data set.
    """
    members = {name: list_lesions(folder) for name, folder in folders.items()}
    listed = name_records(members)
    prints = read_fingerprints(listed, cache_folder=cache_folder, reporter=reporter, ray=ray)
    duplicates = find_copies(prints, cache_folder=cache_folder, reporter=reporter)
    records = {record.image_id: record for record in prints.readable}
    paths = {record.image_id: record.path for record in listed}
    clusters = duplicates.clusters
    near = {pair.first for pair in duplicates.pairs if pair.kind is CopyKind.NEAR}
    return DataReport(
        sets=tuple(_summarise(name, members, prints, duplicates) for name in members),
        skipped=tuple(
            f"{name}:{path}" if len(folders) > 1 else path
            for name, folder in folders.items()
            for path in list_skipped(folder, members[name])
        ),
        bad=tuple(_name_bad(image, paths[image.image_id]) for image in prints.bad),
        exact=cluster_pairs([pair for pair in duplicates.pairs if pair.kind is not CopyKind.NEAR]),
        near=tuple(cluster for cluster in clusters if near & set(cluster)),
        conflicts=tuple(
            cluster for cluster in clusters if len({records[i].is_malignant for i in cluster}) > 1
        ),
        leaks=_pairs_where(clusters, records, _is_leak),
        crossings=_pairs_where(clusters, records, lambda a, b: a.dataset != b.dataset),
        sources=examine_sources(prints.readable),
        prints=prints,
        duplicates=duplicates,
    )


def rows_of(name: str, records: Sequence[LesionRecord]) -> list[int]:
    """The positions of the pictures of one set; those of a lone set do not say where they are."""
    return [row for row, record in enumerate(records) if record.dataset in {None, name}]


def report_to_json(report: DataReport) -> dict[str, Any]:
    """What --json writes; files are relative to their set, begun by its name if there are several.

    The shortcuts of several sets say which set they are of.
    """
    several = len(report.sets) > 1
    return {
        "schema": 1,
        "sets": [
            {name: value for name, value in asdict(summary).items() if name != "shortcuts"}
            for summary in report.sets
        ],
        "skipped": list(report.skipped),
        "bad": [{"file": bad.image_id, "reason": bad.reason} for bad in report.bad],
        "exact_duplicates": [list(group) for group in report.exact],
        "near_duplicates": [list(group) for group in report.near],
        "label_conflicts": [list(group) for group in report.conflicts],
        "cross_split_leaks": [list(pair) for pair in report.leaks],
        "cross_set_copies": [list(pair) for pair in report.crossings],
        "lesion_leaks": [list(group) for group in report.sources.lesion_leaks],
        "lesion_conflicts": [list(group) for group in report.sources.lesion_conflicts],
        "sources": {
            "auc": report.sources.auc,
            "counts": {
                name: {"benign": benign, "malignant": malignant}
                for name, (benign, malignant) in report.sources.counts.items()
            },
            "notes": list(report.sources.notes),
        },
        "shortcuts": [
            asdict(shortcut) | ({"set": summary.name} if several else {})
            for summary in report.sets
            for shortcut in summary.shortcuts
        ],
    }


def list_removals(report: DataReport) -> tuple[Removal, ...]:
    """One entry a file, sorted; once they are gone the same report finds no leak and no conflict.

    Of copies with opposite labels all go; of copies in several sets those in the set given first
    stay, of those the ones in test, and of equal pictures the first.
    """
    order = {summary.name: number for number, summary in enumerate(report.sets)}
    records = {record.image_id: record for record in report.prints.readable}
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


def _name_bad(bad: BadImage, path: Path) -> BadImage:
    """Named relative to its set, in characters that every report can hold."""
    name = printable(bad.image_id)
    return BadImage(image_id=name, reason=bad.reason.replace(printable(str(path)), name))


def _summarise(
    name: str,
    members: Mapping[str, Sequence[LesionRecord]],
    prints: Fingerprints,
    duplicates: Duplicates,
) -> SetSummary:
    rows = rows_of(name, prints.readable)
    records = [prints.readable[row] for row in rows]
    statistics = prints.statistics[rows]
    labels = np.array([record.is_malignant for record in records], dtype=bool)
    cluster_of = {image_id: cluster[0] for cluster in duplicates.clusters for image_id in cluster}
    groups = [cluster_of.get(record.image_id, record.image_id) for record in records]
    sizes = Counter((row.width, row.height) for row in map(TrivialStatistics._make, statistics))
    shortcuts = measure_shortcuts(statistics, labels=labels, groups=groups)
    return SetSummary(
        name=name,
        images=len(records),
        benign=int((~labels).sum()),
        malignant=int(labels.sum()),
        unreadable=len(members[name]) - len(records),
        sides=_count_sides(records),
        sizes=tuple((int(w), int(h), n) for (w, h), n in sizes.most_common(SIZES_SHOWN)),
        shortcuts=shortcuts,
        note=None if shortcuts else f"Shortcuts need {LEAST_IMAGES_A_CLASS} images of each class.",
    )


def _count_sides(records: Sequence[LesionRecord]) -> dict[str, dict[str, int]]:
    counts = Counter((record.side, record.is_malignant) for record in records)
    return {
        side: {"benign": counts[side, False], "malignant": counts[side, True]}
        for side in sorted({record.side for record in records if record.side})
    }


def _is_leak(one: LesionRecord, other: LesionRecord) -> bool:
    sides = {one.side, other.side}
    return one.dataset == other.dataset and len(sides) == 2 and None not in sides


def _pairs_where(
    clusters: Sequence[Group], records: Mapping[str, LesionRecord], condition: Any
) -> tuple[Pair, ...]:
    return tuple(
        (one, other)
        for cluster in clusters
        for one, other in combinations(cluster, 2)
        if condition(records[one], records[other])
    )


def _leaking(members: Sequence[LesionRecord], order: dict[str, int]) -> dict[str, str]:
    """What of a cluster stands in another place than its best one."""

    def place(record: LesionRecord) -> tuple[int, int]:
        return order.get(record.dataset or "", 0), SIDE_ORDER.index(record.side)

    if not members:
        return {}
    best = min(members, key=place)
    return {
        record.image_id: f"copy of {best.image_id}"
        for record in members
        if place(record) != place(best)
    }
