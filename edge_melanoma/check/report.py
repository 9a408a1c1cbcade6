"""All that is to be known of data sets before training: bad files, copies, leaks, shortcuts.

And which files to remove, so that no picture is unreadable, doubled, leaked or of two labels; all
of it as JSON and as one HTML page that needs no other file and no network.
"""

import base64
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_melanoma.data import statistics
from edge_melanoma.data.clinics import auc_of_source, count_sources, describe_sources
from edge_melanoma.data.copies.search import CopyKind, Duplicates, cluster_pairs, find_copies
from edge_melanoma.data.images import decode_image, read_image_bytes
from edge_melanoma.data.labels import AS_FOUND, Reading
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.listing import list_lesions
from edge_melanoma.data.screening import BadImage, Fingerprints, read_fingerprints
from edge_melanoma.data.sets import list_skipped, name_records
from edge_melanoma.data.splits import find_divided
from edge_melanoma.errors import printable
from edge_melanoma.machine.markdown import template_environment
from edge_melanoma.machine.ray import RayWorkers
from edge_melanoma.machine.terminal import Reporter

SIZES_SHOWN = 5
SIDE_ORDER = ("test", "validation", "train", None)
"""What stays where copies are on several sides: the test folder is what results are known on."""
WORST_SHOWN = 3
EXAMPLES_A_CLASS = 6
BINS = 24
THUMBNAIL_SIDE = 112

Group = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReport:
    """What was found in one data set or in several.

    `told` is what --json writes, with files relative to their set, begun by its name if there are
    several. Its groups are clusters of copies of one another, of which the near ones hold more than
    exact copies of one picture; a leak is a pair of copies on two sides of one set, lesion leaks
    and conflicts are by the tables alone. `shortcuts` are those of each set, by its name.
    """

    told: Mapping[str, Any]
    shortcuts: Mapping[str, Mapping[str, float]]
    prints: Fingerprints
    duplicates: Duplicates


def examine_data(
    folders: Mapping[str, Path],
    reading: Reading = AS_FOUND,
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
    members = {
        name: list_lesions(folder, reading.of(None, name), reporter=reporter)
        for name, folder in folders.items()
    }
    listed, several = name_records(members), len(folders) > 1
    prints = read_fingerprints(listed, cache_folder=cache_folder, reporter=reporter, ray=ray)
    duplicates = find_copies(prints, cache_folder=cache_folder, reporter=reporter)
    found = {
        name: _examine_set(name, len(own), prints, duplicates) for name, own in members.items()
    }
    sources, paths = count_sources(prints.readable), {one.image_id: one.path for one in listed}
    told = {
        "schema": 1,
        "sets": [summary for summary, _ in found.values()],
        "skipped": [
            f"{name}:{path}" if several else path
            for name, folder in folders.items()
            for path in list_skipped(folder, members[name])
        ],
        "bad": [_name_bad(image, paths[image.image_id]) for image in prints.bad],
        **_find_groups(prints.readable, duplicates),
        "sources": {
            "auc": auc_of_source(sources),
            "counts": {
                name: {"benign": benign, "malignant": malignant}
                for name, (benign, malignant) in sources.items()
            },
            "notes": list(describe_sources(sources)),
        },
        "shortcuts": [
            {"feature": feature, "auc": auc} | ({"set": name} if several else {})
            for name, (_, shortcuts) in found.items()
            for feature, auc in shortcuts.items()
        ],
    }
    shortcuts = {name: shortcuts for name, (_, shortcuts) in found.items()}
    return DataReport(told=told, shortcuts=shortcuts, prints=prints, duplicates=duplicates)


def _find_groups(
    readable: Sequence[LesionRecord], duplicates: Duplicates
) -> dict[str, Sequence[Group]]:
    records = {record.image_id: record for record in readable}
    clusters = duplicates.clusters
    pairs = [pair for cluster in clusters for pair in combinations(cluster, 2)]
    near = {pair.first for pair in duplicates.pairs if pair.kind is CopyKind.NEAR}
    exact = [pair for pair in duplicates.pairs if pair.kind is not CopyKind.NEAR]

    def is_crossing(one: str, other: str) -> bool:
        return records[one].dataset != records[other].dataset

    def is_leak(one: str, other: str) -> bool:
        sides = {records[one].side, records[other].side}
        return not is_crossing(one, other) and len(sides) == 2 and None not in sides

    return {
        "exact_duplicates": cluster_pairs(exact),
        "near_duplicates": [cluster for cluster in clusters if near & set(cluster)],
        "label_conflicts": [
            cluster for cluster in clusters if len({records[i].is_malignant for i in cluster}) > 1
        ],
        "cross_split_leaks": [pair for pair in pairs if is_leak(*pair)],
        "cross_set_copies": [pair for pair in pairs if is_crossing(*pair)],
        "lesion_leaks": find_divided(readable, "side"),
        "lesion_conflicts": find_divided(readable, "is_malignant", by_patient=False),
    }


def _rows_of(name: str, records: Sequence[LesionRecord]) -> list[int]:
    """The positions of the pictures of one set; those of a lone set do not say where they are."""
    return [row for row, record in enumerate(records) if record.dataset in {None, name}]


def _examine_set(
    name: str, listed: int, prints: Fingerprints, duplicates: Duplicates
) -> tuple[dict[str, Any], dict[str, float]]:
    """Readable pictures by class and given side, most frequent (width, height, n); shortcuts."""
    rows = _rows_of(name, prints.readable)
    records, measured = [prints.readable[row] for row in rows], prints.statistics[rows]
    cluster_of = {image_id: cluster[0] for cluster in duplicates.clusters for image_id in cluster}
    labels = np.array([record.is_malignant for record in records], dtype=bool)
    groups = [cluster_of.get(record.image_id, record.image_id) for record in records]
    shortcuts = statistics.measure_shortcuts(measured, labels=labels, groups=groups)
    counts = Counter((record.side, record.is_malignant) for record in records)
    shapes = map(statistics.TrivialStatistics._make, measured)
    sizes = Counter((int(shape.width), int(shape.height)) for shape in shapes)
    note = f"Shortcuts need {statistics.LEAST_IMAGES_A_CLASS} images of each class."
    told = {
        "name": name,
        "images": len(records),
        "benign": int((~labels).sum()),
        "malignant": int(labels.sum()),
        "unreadable": listed - len(records),
        "sides": {
            side: {"benign": counts[side, False], "malignant": counts[side, True]}
            for side in sorted({record.side for record in records if record.side})
        },
        "sizes": [(*size, number) for size, number in sizes.most_common(SIZES_SHOWN)],
        "note": None if shortcuts else note,
    }
    return told, shortcuts


def _name_bad(bad: BadImage, path: Path) -> dict[str, str]:
    """Named relative to its set, in characters that every report can hold."""
    name = printable(bad.image_id)
    return {"file": name, "reason": bad.reason.replace(printable(str(path)), name)}


def list_removals(report: DataReport) -> dict[str, str]:
    """Files to remove, sorted, and why: then the same report finds no leak and no conflict.

    Of copies with opposite labels all go; of copies in several sets those in the set given first
    stay, of those the ones in test, and of equal pictures the first.
    """
    order = {one["name"]: number for number, one in enumerate(report.told["sets"])}
    records = {record.image_id: record for record in report.prints.readable}
    reasons = {bad["file"]: "unreadable" for bad in report.told["bad"]}
    for conflict in report.told["label_conflicts"]:
        for image_id in conflict:
            others = [other for other in conflict if other != image_id]
            reasons[image_id] = f"copies with both labels: {others[0]}"
    for cluster in report.duplicates.clusters:
        members = [records[image_id] for image_id in cluster if image_id not in reasons]
        reasons |= _leaking(members, order)
    for group in report.told["exact_duplicates"]:
        kept = [image_id for image_id in group if image_id not in reasons]
        reasons |= {image_id: f"same pixels as {kept[0]}" for image_id in kept[1:]}
    return dict(sorted(reasons.items()))


def _leaking(members: Sequence[LesionRecord], order: dict[str, int]) -> dict[str, str]:
    """What of a cluster stands in another place than its best one."""

    def place(record: LesionRecord) -> tuple[int, int]:
        return order.get(record.dataset or "", 0), SIDE_ORDER.index(record.side)

    best = min(members, key=place, default=None)
    return {
        record.image_id: f"copy of {best.image_id}"
        for record in members
        if best and place(record) != place(best)
    }


def removals_to_text(removals: Mapping[str, str]) -> str:
    """A line a file: its name, in which line breaks are escaped, a tab, the reason."""
    return "".join(f"{printable(name)}\t{printable(why)}\n" for name, why in removals.items())


def render_page(report: DataReport, removals: Mapping[str, str]) -> str:
    """The whole page; every name is escaped, none is an absolute path."""
    records = {record.image_id: record for record in report.prints.readable}
    environment = template_environment(Path(__file__).parent, autoescape=True)
    return environment.get_template("page.html.j2").render(
        told=report.told,
        shortcuts=report.shortcuts,
        removals=removals,
        figures={name: _figures(report, name) for name in report.shortcuts},
        address_of=lambda image_id: _thumbnail(records[image_id]),
    )


def _thumbnail(record: LesionRecord) -> str:
    """A small picture as a data address."""
    image = Image.fromarray(decode_image(read_image_bytes(record.path), name=record.image_id))
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _figures(report: DataReport, name: str) -> list[dict[str, Any]]:
    """Of the statistics that separate the classes of a set best alone."""
    rows = _rows_of(name, report.prints.readable)
    records = [report.prints.readable[row] for row in rows]
    columns = report.prints.statistics[rows].T
    values = dict(zip(statistics.TrivialStatistics._fields, columns, strict=True))
    single = [one for one in report.shortcuts[name].items() if one[0] in values]
    return [
        {"feature": feature, "auc": auc} | _figure(records, values[feature])
        for feature, auc in single[:WORST_SHOWN]
    ]


def _figure(records: Sequence[LesionRecord], values: NDArray[np.float64]) -> dict[str, Any]:
    """How a statistic is spread by class: heights of bins in 0..1, and the most telling images."""
    labels = np.array([record.is_malignant for record in records])
    classes = {"benign": ~labels, "malignant": labels}
    low, high = (float(edge) for edge in np.quantile(values, [0.01, 0.99]))
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    inside = np.clip(values, edges[0], edges[-1])
    shares = {
        name: np.histogram(inside[chosen], edges)[0] / chosen.sum()
        for name, chosen in classes.items()
    }
    tallest = max(float(share.max()) for share in shares.values())
    place = np.clip(np.digitize(values, edges) - 1, 0, BINS - 1)
    lead = (shares["malignant"] - shares["benign"])[place]
    order = {
        "benign": np.argsort(lead, kind="stable"),
        "malignant": np.argsort(-lead, kind="stable"),
    }
    return {
        "low": low,
        "high": high,
        "bins": {name: (share / tallest).tolist() for name, share in shares.items()},
        "examples": {
            name: [records[n].image_id for n in order[name] if chosen[n]][:EXAMPLES_A_CLASS]
            for name, chosen in classes.items()
        },
    }
