"""One self-contained page of a bench: it loads nothing, and every text in it is escaped."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge_melanoma.benchmarks.parity.flips import KIND_NAMES
from edge_melanoma.benchmarks.report.outside_tables import outside_sections
from edge_melanoma.benchmarks.report.proof_tables import (
    describe_proof,
    describe_verdict,
    interval_section,
    proof_sections,
    rule_section,
)
from edge_melanoma.benchmarks.report.tables import cost_section, describe_report, quality_section
from edge_melanoma.benchmarks.report.thumbnails import shown_thumbnails
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import PredictionSet, refuse_other_images

TEMPLATES = Path(__file__).parent / "templates"
ROWS_A_KIND = 60
"""Flips of a kind that are shown one by one; parity.json has all of them."""

Parity = Mapping[str, Any]


def render_report(
    parity: Parity,
    *,
    reference: PredictionSet,
    candidates: Mapping[str, PredictionSet],
    thumbnails: Mapping[str, str],
) -> str:
    """The HTML page of a parity.json, of the scores behind it, and of pictures by image id.

    Raises:
        EdgeMelanomaError: scores of other images than the reference's.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    for predictions in candidates.values():
        refuse_other_images(reference, predictions)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    threshold = parity["threshold"]["reference"]
    return environment.get_template("report.html.j2").render(
        parity=parity,
        verdict=describe_verdict(parity),
        passed=all(candidate["verdict"] == "pass" for candidate in parity["candidates"]),
        summary=describe_report(parity),
        proof=describe_proof(parity),
        quality=quality_section(parity),
        intervals=interval_section(parity),
        rules=rule_section(parity),
        proofs=proof_sections(parity),
        cost=cost_section(parity),
        tables=[*parity["tables"], *(section.as_dict() for section in outside_sections(parity))],
        kinds=KIND_NAMES,
        rows_a_kind=ROWS_A_KIND,
        thumbnails=shown_thumbnails(thumbnails),
        figures=dict(_figures(reference, candidates, threshold=threshold)),
        roc=_roc(reference, candidates, threshold=threshold),
        images_of=_images_of,
    )


def refuse_older(parity: Parity) -> None:
    """A parity.json must hold what the page shows.

    Raises:
        EdgeMelanomaError: an older version wrote it.
    """
    candidates = parity.get("candidates")
    if not candidates or not all("flip_details" in candidate for candidate in candidates):
        raise EdgeMelanomaError(
            "The parity.json holds no flips with their scores, as an older version wrote it; "
            "make it anew with: edge-melanoma bench"
        )


def _figures(
    reference: PredictionSet, candidates: Mapping[str, PredictionSet], *, threshold: float
) -> Iterator[tuple[str, list[Any]]]:
    from markupsafe import Markup

    from edge_melanoma.benchmarks.report import report_figures

    drawers = (
        report_figures.draw_scatter,
        report_figures.draw_bland_altman,
        report_figures.draw_histograms,
    )
    for number, (mode, scores) in enumerate(candidates.items()):
        # Made by matplotlib, which escapes the texts of a figure.
        yield (
            mode,
            [
                Markup(
                    draw(
                        reference,
                        scores,
                        threshold=threshold,
                        mode=mode,
                        prefix=f"figure{number}-{place}",
                    )
                )
                for place, draw in enumerate(drawers)
            ],
        )


def _roc(
    reference: PredictionSet, candidates: Mapping[str, PredictionSet], *, threshold: float
) -> Any:
    from markupsafe import Markup

    from edge_melanoma.benchmarks.report.report_figures import draw_roc_overlay

    models = {"Keras": reference, **candidates}
    return Markup(draw_roc_overlay(models, threshold=threshold, prefix="roc"))


def _images_of(candidate: Parity, kind: str) -> list[Parity]:
    return [image for image in candidate["flip_details"] if image["kind"] == kind]
