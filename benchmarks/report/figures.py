"""The report's figures as SVG inside the page: how the candidate's scores lie beside the others.

Each takes the page's colour and font, and has a name that a screen reader says.
"""

import html
import io
import re
from collections.abc import Mapping
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from edge_melanoma.evaluation.figures import (
    BENIGN_COLOUR,
    MALIGNANT_COLOUR,
    operating_shares,
    take_as_text,
)
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.evaluation.risk_coverage import risk_curve
from edge_melanoma.machine.terminal import shown

INK = "#010203"
"""Stands for the page's own text colour, light or dark; no data are drawn in it."""
DOTS_PER_INCH = 160
"""Of clouds of points, which are drawn as a picture inside the SVG: thousands would be heavy."""
WIDTH, HEIGHT = 4.6, 4.2
BINS = 40
CLASSES = (("benign", False, BENIGN_COLOUR, "o"), ("malignant", True, MALIGNANT_COLOUR, "^"))
ROC_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#B85C8E", "#7A5CC2", "#8C6D31")
ROC_LINES = ("-", "--", "-.", ":")
ZOOM = 0.5
"""Curves of use lie in the upper left quarter; below, all of them are alike."""


def draw_scatter(
    reference: PredictionSet, candidate: PredictionSet, *, threshold: float, mode: str, prefix: str
) -> str:
    """Candidate over reference: what lies in the upper left or lower right quarter has flipped."""
    figure, axes = _one_panel()
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.7, alpha=0.5)
    _draw_cloud(axes, reference, reference.scores, candidate.scores)
    axes.axhline(threshold, color=INK, linestyle="--", linewidth=0.8)
    axes.axvline(threshold, color=INK, linestyle="--", linewidth=0.8)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.set(xlabel="Keras, P(malignant)", ylabel=f"{mode}, P(malignant)")
    _add_legend(axes)
    return to_inline_svg(
        figure,
        prefix=prefix,
        description=f"Scores of {mode} over scores of Keras for {len(reference.labels)} images; "
        f"dashed lines at the threshold {threshold:.3f}",
    )


def draw_bland_altman(
    reference: PredictionSet, candidate: PredictionSet, *, threshold: float, mode: str, prefix: str
) -> str:
    """Difference over mean, with the mean difference and the limits of agreement."""
    figure, axes = _one_panel()
    differences = candidate.scores - reference.scores
    _draw_cloud(axes, reference, (candidate.scores + reference.scores) / 2, differences)
    mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    low, high = mean - 1.96 * spread, mean + 1.96 * spread
    for height, line in ((mean, "-"), (low, "--"), (high, "--")):
        axes.axhline(height, color=INK, linestyle=line, linewidth=0.9)
    axes.axvline(threshold, color=INK, linestyle=":", linewidth=0.8)
    axes.set(xlabel=f"mean of Keras and {mode}", ylabel=f"{mode} - Keras", xlim=(-0.02, 1.02))
    _add_legend(axes)
    return to_inline_svg(
        figure,
        prefix=prefix,
        description=f"Bland-Altman plot of {mode} and Keras: mean difference {mean:+.4f}, 95 % "
        f"limits of agreement {low:+.4f} to {high:+.4f}",
    )


def draw_histograms(
    reference: PredictionSet, candidate: PredictionSet, *, threshold: float, mode: str, prefix: str
) -> str:
    """Scores by class, malignant above: filled the candidate's, outlined the reference's."""
    figure = make_figure(WIDTH, HEIGHT)
    edges = np.linspace(0, 1, BINS + 1)
    rows = figure.subplots(2, 1, sharex=True)
    for axes, (name, is_malignant, colour, _) in zip(rows, reversed(CLASSES), strict=True):
        style_axes(axes)
        chosen = reference.labels == is_malignant
        axes.hist(candidate.scores[chosen], edges, color=colour, alpha=0.75, label=mode)
        axes.hist(reference.scores[chosen], edges, histtype="step", color=INK, label="Keras")
        axes.axvline(threshold, color=INK, linestyle="--", linewidth=0.8)
        axes.set(yscale="log", ylabel=f"{name} images")
        axes.yaxis.set_major_formatter(lambda count, _: f"{count:g}")
        _add_legend(axes, place="upper center")
    rows[-1].set(xlabel="P(malignant)", xlim=(0, 1))
    return to_inline_svg(
        figure,
        prefix=prefix,
        description=f"Histograms of the scores of {mode} and Keras, malignant above benign, "
        f"counts on a logarithmic axis; dashed line at the threshold {threshold:.3f}",
    )


def draw_roc_overlay(models: Mapping[str, PredictionSet], *, threshold: float, prefix: str) -> str:
    """The upper left quarter of all ROC curves, each with its point at the threshold."""
    from sklearn.metrics import roc_curve

    figure, axes = _one_panel()
    for number, (name, predictions) in enumerate(models.items()):
        colour = ROC_COLOURS[(number - 1) % len(ROC_COLOURS)] if number else INK
        line = ROC_LINES[number % len(ROC_LINES)]
        alarms, recalls, _ = roc_curve(predictions.labels, predictions.scores)
        axes.plot(alarms, recalls, line, color=colour, linewidth=1.3, label=name)
        alarm, recall, _ = operating_shares(predictions, threshold=threshold)
        axes.plot(alarm, recall, "o", color=colour, markersize=5)
    axes.axhline(0.8, color=INK, linestyle=":", linewidth=0.8)
    axes.set(xlim=(-0.005, ZOOM), ylim=(1 - ZOOM, 1.005))
    axes.set(xlabel="false alarm rate (1 - specificity)", ylabel="recall")
    _add_legend(axes, place="lower right")
    return to_inline_svg(
        figure,
        prefix=prefix,
        description=f"ROC curves of {', '.join(models)}, false alarm rates to {ZOOM:g} and recalls "
        f"from {1 - ZOOM:g}; dots at the threshold {threshold:.3f}, dotted line at 80 % recall",
    )


def draw_risk_overlay(models: Mapping[str, PredictionSet], *, threshold: float, prefix: str) -> str:
    """The share of wrong answers over the share of pictures answered, the surest first."""
    figure, axes = _one_panel()
    for number, (name, predictions) in enumerate(models.items()):
        colour = ROC_COLOURS[(number - 1) % len(ROC_COLOURS)] if number else INK
        line = ROC_LINES[number % len(ROC_LINES)]
        coverages, risks = risk_curve(predictions, threshold=threshold)
        axes.plot(coverages, risks, line, color=colour, linewidth=1.3, label=name)
    axes.set(xlim=(0, 1.005), xlabel="share of pictures answered", ylabel="share wrong")
    axes.set_ylim(bottom=0)
    _add_legend(axes)
    return to_inline_svg(
        figure,
        prefix=prefix,
        description=f"Share of wrong answers over coverage of {', '.join(models)} at the threshold "
        f"{threshold:.3f}",
    )


def _one_panel() -> tuple[Figure, Axes]:
    figure = make_figure(WIDTH, HEIGHT)
    return figure, style_axes(figure.subplots())


def _draw_cloud(
    axes: Axes, images: PredictionSet, x: NDArray[np.float64], y: NDArray[np.float64]
) -> None:
    for name, is_malignant, colour, marker in CLASSES:
        chosen = images.labels == is_malignant
        (points,) = axes.plot(x[chosen], y[chosen], marker, label=name, color=colour)
        points.set(markersize=3, markeredgewidth=0, alpha=0.8, rasterized=True)


def _add_legend(
    axes: Axes, *, place: Literal["best", "upper center", "lower right"] = "best"
) -> None:
    axes.legend(loc=place, fontsize=8, framealpha=0, labelcolor=INK, markerscale=2)


def style_axes(axes: Axes) -> Axes:
    """Frame, ticks and text in the page's colour, on no ground of its own."""
    axes.set_facecolor("none")
    axes.tick_params(colors=INK, labelsize=8)
    for spine in axes.spines.values():
        spine.set_color(INK)
    # matplotlib gives the power of ten of an axis no colour of its own.
    axes.yaxis.get_offset_text().set_color(INK)
    for text in (axes.title, axes.xaxis.label, axes.yaxis.label):
        text.set_color(INK)
        text.set_fontsize(9)
    axes.grid(alpha=0.18, color=INK, linewidth=0.6)
    return axes


def make_figure(width: float, height: float) -> Figure:
    """A figure of inches without a ground."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="none")


def to_inline_svg(figure: Figure, *, prefix: str, description: str) -> str:
    """The <svg> element; `prefix` keeps its ids apart from those of other figures of the page."""
    take_as_text(figure)
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": prefix}):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", dpi=DOTS_PER_INCH, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg ") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'href="#', f'href="#{prefix}-', svg)
    svg = svg.replace("url(#", f"url(#{prefix}-").replace(INK, "currentColor")
    for size in ("width", "height"):  # The page sets the width; the viewBox has the shape.
        svg = re.sub(rf'(<svg [^>]*?) {size}="[^"]*"', r"\1", svg, count=1)
    label = html.escape(shown(description), quote=True)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
