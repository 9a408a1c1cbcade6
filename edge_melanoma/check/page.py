"""The findings about data sets as one HTML page that needs no other file and no network."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from edge_melanoma.check.data_template import TEMPLATE
from edge_melanoma.check.report import DataReport, Removal, SetSummary
from edge_melanoma.check.shortcuts import ALL_TOGETHER
from edge_melanoma.data.images import decode_image, read_image_bytes
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.statistics import TrivialStatistics

GROUPS_SHOWN = 30
PICTURES_A_GROUP = 6
WORST_SHOWN = 3
EXAMPLES_A_CLASS = 6
BINS = 24
THUMBNAIL_SIDE = 112


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A thumbnail as a data address, and what stands below it."""

    address: str
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One kind of finding: how many groups, and the pictures of the first ones."""

    title: str
    meaning: str
    count: int
    groups: tuple[tuple[Picture, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortcutFigure:
    """How one statistic is spread in both classes (heights 0..1 a bin), and telling examples."""

    feature: str
    auc: float
    low: float
    high: float
    benign_bins: tuple[float, ...]
    malignant_bins: tuple[float, ...]
    benign: tuple[Picture, ...]
    malignant: tuple[Picture, ...]


def render_page(report: DataReport, removals: Sequence[Removal]) -> str:
    """The whole page; every name is escaped, none is an absolute path."""
    from jinja2 import Environment, StrictUndefined

    records = {record.image_id: record for record in report.prints.readable}
    template = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string(TEMPLATE)
    return template.render(
        report=report,
        findings=_findings(report, records),
        figures={summary.name: _figures(report, summary) for summary in report.sets},
        removals=removals,
        groups_shown=GROUPS_SHOWN,
    )


def _findings(report: DataReport, records: Mapping[str, LesionRecord]) -> list[Finding]:
    kinds = (
        ("Label conflicts", "copies of one picture with opposite labels", report.conflicts),
        ("Leaks", "copies on two given sides of one set", report.leaks),
        ("Copies in two sets", "one set is no external test for the other", report.crossings),
        ("Exact duplicates", "files with the same pixels", report.exact),
        (
            "Near duplicates",
            "resized, recompressed, cropped, mirrored, turned, or taken again a moment later",
            report.near,
        ),
    )
    return [
        Finding(
            title=title,
            meaning=meaning,
            count=len(groups),
            groups=tuple(
                tuple(_picture(records[image_id]) for image_id in group[:PICTURES_A_GROUP])
                for group in groups[:GROUPS_SHOWN]
            ),
        )
        for title, meaning, groups in kinds
    ]


def _picture(record: LesionRecord) -> Picture:
    pixels = decode_image(read_image_bytes(record.path), name=record.image_id)
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    address = f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
    return Picture(address=address, caption=record.image_id)


def _figures(report: DataReport, summary: SetSummary) -> list[ShortcutFigure]:
    single = [shortcut for shortcut in summary.shortcuts if shortcut.feature != ALL_TOGETHER]
    rows = [
        row
        for row, record in enumerate(report.prints.readable)
        if len(report.sets) == 1 or record.source == summary.name
    ]
    return [
        _figure(report, np.array(rows), shortcut.feature, shortcut.auc)
        for shortcut in single[:WORST_SHOWN]
    ]


def _figure(
    report: DataReport, rows: np.ndarray[tuple[int], np.dtype[np.int64]], feature: str, auc: float
) -> ShortcutFigure:
    values = report.prints.statistics[rows, TrivialStatistics._fields.index(feature)]
    labels = np.array([report.prints.readable[row].is_malignant for row in rows])
    low, high = (float(edge) for edge in np.quantile(values, [0.01, 0.99]))
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    shares = [
        np.histogram(np.clip(values[chosen], edges[0], edges[-1]), edges)[0] / chosen.sum()
        for chosen in (~labels, labels)
    ]
    tallest = max(float(share.max()) for share in shares)
    bins = [tuple(float(value) / tallest for value in share) for share in shares]
    telling = shares[1] - shares[0]
    place = np.clip(np.digitize(values, edges) - 1, 0, BINS - 1)
    examples = [
        tuple(_picture(report.prints.readable[rows[n]]) for n in order[:EXAMPLES_A_CLASS])
        for order in (
            _most_telling(-telling[place], ~labels),
            _most_telling(telling[place], labels),
        )
    ]
    return ShortcutFigure(
        feature=feature,
        auc=auc,
        low=low,
        high=high,
        benign_bins=bins[0],
        malignant_bins=bins[1],
        benign=examples[0],
        malignant=examples[1],
    )


def _most_telling(
    evidence: np.ndarray[tuple[int], np.dtype[np.float64]],
    chosen: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> list[int]:
    """Pictures of a class whose value is most typical of it and least of the other."""
    order = np.argsort(-evidence, kind="stable")
    return [int(n) for n in order if chosen[n]]
