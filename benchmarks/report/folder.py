"""The files of a bench: written after measuring, and read again to make the report anew."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_melanoma.benchmarks.parity.scoring import REFERENCE, write_scores
from edge_melanoma.benchmarks.report.page import refuse_older, render_report
from edge_melanoma.benchmarks.report.text import render_markdown, render_template
from edge_melanoma.benchmarks.settings import BenchCopies
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import PredictionSet, read_predictions
from edge_melanoma.machine.files import read_json, write_atomically, write_json

UNFINISHED = "unfinished"
"""Below a bench: the scores of one that was interrupted, apart from those of the last whole one."""

PARITY, MARKDOWN, PAGE, THUMBNAILS = "parity.json", "parity.md", "report.html", "thumbnails.json"


def write_bench(
    folder: Path,
    parity: Mapping[str, Any],
    scores: Mapping[str, PredictionSet],
    *,
    thumbnails: Mapping[str, str],
    copies: BenchCopies,
) -> None:
    """All files of a bench, each as a whole; `scores` are by mode, the reference's among them."""
    write_scores(folder, scores)
    write_json(folder / THUMBNAILS, {"schema": 1, "images": dict(thumbnails)})
    write_atomically(folder / MARKDOWN, render_markdown(parity))
    for path in (folder / PARITY, copies.json):
        if path is not None:
            write_json(path, dict(parity))
    page = _render(parity, scores, thumbnails)
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
    parity = read_json(folder / PARITY)
    refuse_older(parity)
    modes = [REFERENCE, *(candidate["mode"] for candidate in parity["candidates"])]
    scores = {mode: _read_scores(folder / f"predictions_{mode}.csv") for mode in modes}
    images = parity["dataset"]["images"]
    if len(scores[REFERENCE].labels) != images:
        raise EdgeMelanomaError(
            f"{folder / PARITY} is of {images} images and predictions_{REFERENCE}.csv beside it of "
            f"{len(scores[REFERENCE].labels)}; bench the run again."
        )
    thumbnails = read_json(folder / THUMBNAILS)["images"]
    return _render(parity, scores, thumbnails)


def _read_scores(path: Path) -> PredictionSet:
    try:
        return read_predictions(path)
    except (OSError, ValueError, KeyError) as error:
        raise EdgeMelanomaError(
            f"{path} is not a readable table of scores; bench the run again."
        ) from error


def _render(
    parity: Mapping[str, Any], scores: Mapping[str, PredictionSet], thumbnails: Mapping[str, str]
) -> str:
    candidates = {mode: found for mode, found in scores.items() if mode != REFERENCE}
    return render_report(
        parity, reference=scores[REFERENCE], candidates=candidates, thumbnails=thumbnails
    )


def render_junit(parity: Mapping[str, Any]) -> str:
    """parity.json as JUnit XML: a test case a candidate and rule, as every CI shows them.

    A missed rule is a failure with its sentence.
    """
    checks = [check for candidate in parity["candidates"] for check in candidate["checks"]]
    return render_template("junit.xml.j2", parity=parity, checks=checks)
