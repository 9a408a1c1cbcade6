"""The findings about data sets as one HTML page that needs no other file and no network."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_melanoma.check.report import DataReport, Removal, SetSummary, rows_of
from edge_melanoma.check.shortcuts import ALL_TOGETHER, Shortcut
from edge_melanoma.data.decoding import decode_image
from edge_melanoma.data.images import read_image_bytes
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.statistics import TrivialStatistics
from edge_melanoma.machine.markdown import template_environment

WORST_SHOWN = 3
EXAMPLES_A_CLASS = 6
BINS = 24
THUMBNAIL_SIDE = 112


def render_page(report: DataReport, removals: Sequence[Removal]) -> str:
    """The whole page; every name is escaped, none is an absolute path."""
    records = {record.image_id: record for record in report.prints.readable}
    environment = template_environment(Path(__file__).parent, autoescape=True)
    return environment.get_template("page.html.j2").render(
        report=report,
        removals=removals,
        figures={summary.name: _figures(report, summary) for summary in report.sets},
        address_of=lambda image_id: _thumbnail(records[image_id]),
    )


def _thumbnail(record: LesionRecord) -> str:
    """A small picture as a data address."""
    pixels = decode_image(read_image_bytes(record.path), name=record.image_id)
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _figures(report: DataReport, summary: SetSummary) -> list[dict[str, Any]]:
    """Of the statistics that separate the classes best alone."""
    single = [shortcut for shortcut in summary.shortcuts if shortcut.feature != ALL_TOGETHER]
    rows = rows_of(summary.name, report.prints.readable)
    records = [report.prints.readable[row] for row in rows]
    statistics = report.prints.statistics[rows]
    return [
        _figure(shortcut, records, statistics[:, TrivialStatistics._fields.index(shortcut.feature)])
        for shortcut in single[:WORST_SHOWN]
    ]


def _figure(
    shortcut: Shortcut, records: Sequence[LesionRecord], values: NDArray[np.float64]
) -> dict[str, Any]:
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
        **{"feature": shortcut.feature, "auc": shortcut.auc, "low": low, "high": high},
        "bins": {name: (share / tallest).tolist() for name, share in shares.items()},
        "examples": {
            name: [records[n].image_id for n in order[name] if chosen[n]][:EXAMPLES_A_CLASS]
            for name, chosen in classes.items()
        },
    }
