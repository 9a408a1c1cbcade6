"""The files of a bench: written after measuring, and read again to make its page anew.

The page is self-contained: it loads nothing, and every text in it is escaped.
Flipped pictures are small copies in data URIs: pixels alone, nothing of the file's metadata.
"""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from PIL import Image

from edge_melanoma.benchmarks.parity.comparison import KIND_NAMES
from edge_melanoma.benchmarks.parity.rules import FAIL, INCONCLUSIVE
from edge_melanoma.benchmarks.parity.scoring import REFERENCE, write_scores
from edge_melanoma.benchmarks.report import tables, text
from edge_melanoma.benchmarks.sections import stored_sections
from edge_melanoma.benchmarks.settings import BenchCopies
from edge_melanoma.data.images import read_image
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import (
    PredictionSet,
    read_predictions,
    refuse_other_images,
)
from edge_melanoma.machine.files import write_atomically, write_json
from edge_melanoma.machine.schemas import LARGEST_LIST_BYTES, read_json
from edge_melanoma.runs.parity import Parity as ParityFile

SIDE = 112
JPEG_QUALITY = 78
LARGEST_TOTAL = 2_000_000
"""Bytes of data URIs in a page, each as often as it is shown, so that it stays below 5 MB."""
ROWS_A_KIND = 60
"""Flips of a kind that are shown one by one; parity.json has all of them."""
UNBROKEN = 1000
"""The browser breaks the lines of the answer."""
UNFINISHED = "unfinished"
"""Below a bench: the scores of one that was interrupted, apart from those of the last whole one."""

PARITY, MARKDOWN, PAGE, THUMBNAILS = "parity.json", "parity.md", "report.html", "thumbnails.json"

Parity = Mapping[str, Any]


class Thumbnails(TypedDict):
    """thumbnails.json: data URIs by image id."""

    images: dict[str, str]


def write_bench(
    folder: Path,
    parity: Parity,
    scores: Mapping[str, PredictionSet],
    *,
    thumbnails: Mapping[str, str],
    copies: BenchCopies,
) -> None:
    """All files of a bench, each as a whole; `scores` are by mode, the reference's among them."""
    write_scores(folder, scores)
    write_json(folder / THUMBNAILS, {"schema": 1, "images": dict(thumbnails)})
    write_atomically(folder / MARKDOWN, text.render_markdown(parity))
    write_json(folder / PARITY, dict(parity))
    page = render_report(parity, scores, thumbnails)
    for path in (folder / PAGE, copies.html):
        if path is not None:
            write_atomically(path, page)
    if copies.junit is not None:
        write_atomically(copies.junit, render_junit(parity))


def render_stored(folder: Path) -> str:
    """The page of a bench that was written before.

    Raises:
        EdgeMelanomaError: a file is missing, of an older version, or of other images.
    """
    if not (folder / PARITY).is_file():
        raise EdgeMelanomaError(
            f"There is no bench in {folder}; make one with: edge-melanoma bench"
        )
    path = folder / PARITY
    refuse_older(read_json(path, most=LARGEST_LIST_BYTES))
    parity = read_json(path, ParityFile, most=LARGEST_LIST_BYTES)
    modes = [REFERENCE, *(candidate["mode"] for candidate in parity["candidates"])]
    scores = {mode: _read_scores(folder / f"predictions_{mode}.csv") for mode in modes}
    images = parity["dataset"]["images"]
    if len(scores[REFERENCE].labels) != images:
        raise EdgeMelanomaError(
            f"{folder / PARITY} is of {images} images and predictions_{REFERENCE}.csv beside it of "
            f"{len(scores[REFERENCE].labels)}; bench the run again."
        )
    thumbnails = read_json(folder / THUMBNAILS, Thumbnails)["images"]
    return render_report(parity, scores, thumbnails)


def _read_scores(path: Path) -> PredictionSet:
    try:
        return read_predictions(path)
    except (EdgeMelanomaError, ValueError, KeyError) as error:
        raise EdgeMelanomaError(
            f"{path} is not a readable table of scores; bench the run again."
        ) from error


def render_junit(parity: Parity) -> str:
    """parity.json as JUnit XML: a test case a candidate and rule, as every CI shows them.

    A missed rule is a failure with its sentence; an inconclusive one is skipped, or a failure too
    where the contract says so.
    """
    checks = [check for candidate in parity["candidates"] for check in candidate["checks"]]
    failing = [FAIL] + [INCONCLUSIVE] * (parity["contract"]["on_inconclusive"] == FAIL)
    return text.render_template("junit.xml.j2", parity=parity, checks=checks, failing=failing)


def render_report(
    parity: Parity, scores: Mapping[str, PredictionSet], thumbnails: Mapping[str, str]
) -> str:
    """The HTML page of a parity.json, of the scores by mode behind it, and of pictures by image id.

    Raises:
        EdgeMelanomaError: scores of other images than the reference's.
    """
    from edge_melanoma.benchmarks.report.figures import draw_risk_overlay, draw_roc_overlay

    candidates = dict(scores)
    reference = candidates.pop(REFERENCE)
    for predictions in candidates.values():
        refuse_other_images(reference, predictions)
    threshold = parity["threshold"]["reference"]
    models = {"Keras": reference, **candidates}
    return text.render_template(
        "report.html.j2",
        parity=parity,
        answer=text.describe_answer(parity, width=UNBROKEN),
        verdict=text.describe_verdict(parity),
        summary=tables.describe_report(parity),
        proof=text.describe_proof(parity),
        quality=tables.quality_section(parity),
        intervals=tables.interval_section(parity),
        rules=tables.rule_section(parity),
        proofs=tables.proof_sections(parity),
        cost=tables.cost_section(parity),
        tables=[*stored_sections(parity), *map(tables.outside_section, parity["external"])],
        kinds=KIND_NAMES,
        rows_a_kind=ROWS_A_KIND,
        thumbnails=shown_thumbnails(thumbnails),
        figures=_figures(reference, candidates, threshold=threshold),
        roc=draw_roc_overlay(models, threshold=threshold, prefix="roc"),
        risk=draw_risk_overlay(models, threshold=threshold, prefix="risk"),
    )


def refuse_older(parity: Parity) -> None:
    """A parity.json must hold what the page shows.

    Raises:
        EdgeMelanomaError: an older version wrote it.
    """
    candidates = parity.get("candidates")
    told = candidates if isinstance(candidates, list) else [None]
    if not all(isinstance(one, dict) and INCONCLUSIVE in one for one in told):
        raise EdgeMelanomaError(
            "The parity.json lacks what the page shows, as an older version wrote it; make it anew "
            "with: edge-melanoma bench"
        )


def _figures(
    reference: PredictionSet, candidates: Mapping[str, PredictionSet], *, threshold: float
) -> dict[str, list[str]]:
    from edge_melanoma.benchmarks.report import figures

    drawers = (figures.draw_scatter, figures.draw_bland_altman, figures.draw_histograms)
    return {
        mode: [
            draw(
                reference, scores, threshold=threshold, mode=mode, prefix=f"figure{number}-{place}"
            )
            for place, draw in enumerate(drawers)
        ]
        for number, (mode, scores) in enumerate(candidates.items())
    }


def make_thumbnails(
    records: Sequence[LesionRecord], candidates: Iterable[Parity]
) -> dict[str, str]:
    """Data URIs by image id, lost malignant of all candidates first, until the room is used up.

    A picture is as the network sees it: upright and squashed to a square.
    """
    by_id = {record.image_id: record for record in records}
    flips = [image for candidate in candidates for image in candidate["flip_details"]]
    order = list(KIND_NAMES)
    made: dict[str, str] = {}
    room = LARGEST_TOTAL
    for image in sorted(flips, key=lambda image: order.index(image["kind"])):
        name = image["image_id"]
        uri = made.get(name) or _encode(by_id[name])
        room -= len(uri)
        if room < 0:
            break
        made[name] = uri
    return made


def shown_thumbnails(thumbnails: Mapping[str, str]) -> dict[str, str]:
    """Those of a stored file that are such data URIs, and nothing else that a page might load."""
    prefix = "data:image/jpeg;base64,"
    return {name: uri for name, uri in thumbnails.items() if str(uri).startswith(prefix)}


def _encode(record: LesionRecord) -> str:
    small = Image.fromarray(read_image(record.path)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, format="JPEG", quality=JPEG_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
