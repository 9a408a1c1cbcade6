"""The pictures of a run, as PNG or PDF: recall first, and each says what it was measured on."""

import io
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.metrics import BOOTSTRAP_SEED, CONFIDENCE, count_confusions
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.evaluation.reliability import EDGES, measure_reliability
from edge_melanoma.evaluation.risk_coverage import risk_curve
from edge_melanoma.machine.files import write_atomically
from edge_melanoma.machine.terminal import shown

BENIGN_COLOUR, MALIGNANT_COLOUR = "#0072B2", "#D55E00"
SIDE_COLOURS = ("#7F7F7F", "#009E73", "#CC79A7")
DOTS_PER_INCH = 120
BAND_RESAMPLES = 1000
SAMPLES_A_ROW = 8
UNIT = (-0.01, 1.01)
"""Bounds of an axis of shares."""

Sides = Mapping[str, PredictionSet]


def draw_confusion_matrices(
    sides: Sides, path: Path, *, threshold: float, dataset: str, dots: int = DOTS_PER_INCH
) -> Path:
    """One matrix a side: counts, and each as the share of its true class."""
    figure = Figure(figsize=(4.2 * len(sides), 4.4), layout="constrained")
    panels = figure.subplots(1, len(sides), squeeze=False)[0]
    for axes, (side, predictions) in zip(panels, sides.items(), strict=True):
        _draw_matrix(axes, predictions, threshold=threshold)
        axes.set_title(f"{side}: {_describe(predictions)}", fontsize=10)
    figure.suptitle(f"{dataset}, threshold {threshold:.3f}")
    return save_figure(figure, path, dots)


def _draw_matrix(axes: Axes, predictions: PredictionSet, *, threshold: float) -> None:
    c = count_confusions(predictions, threshold=threshold)
    matrix = np.array([[c.true_positive, c.false_negative], [c.false_positive, c.true_negative]])
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(matrix):
        share = shares[row, column]
        colour = "white" if share > 0.5 else "black"
        axes.text(column, row, f"{count}\n{share:.1%}", ha="center", va="center", color=colour)
    axes.set_xticks([0, 1], ["malignant", "benign"])
    axes.set_yticks([0, 1], ["malignant", "benign"], rotation=90, va="center")
    axes.set(xlabel="decision", ylabel="truth")


def _describe(predictions: PredictionSet) -> str:
    malignant = int(predictions.labels.sum())
    return f"{len(predictions.labels) - malignant} benign, {malignant} malignant"


def draw_roc_curves(
    sides: Sides,
    path: Path,
    *,
    threshold: float,
    dataset: str,
    with_band: bool = False,
    dots: int = DOTS_PER_INCH,
) -> Path:
    """Recall over the false alarm rate, with the operating point marked.

    The band is the middle 95 % of recalls at each rate, of resamplings stratified by class.

    Raises:
        EdgeMelanomaError: a side lacks one class.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    figure, axes = _curve_frame(f"ROC, {dataset}, threshold {threshold:.3f} marked")
    axes.plot([0, 1], [0, 1], color="#BBBBBB", linestyle=":", linewidth=1)
    for colour, side, predictions in _of_both_classes(sides):
        alarms, recalls, _ = roc_curve(predictions.labels, predictions.scores)
        auc = roc_auc_score(predictions.labels, predictions.scores)
        label = f"{side}, AUC {auc:.3f} ({_describe(predictions)})"
        axes.plot(alarms, recalls, color=colour, label=label)
        if with_band:
            rates, low, high = _band_of(predictions)
            axes.fill_between(rates, low, high, color=colour, alpha=0.2, linewidth=0)
        alarm, recall, _ = operating_shares(predictions, threshold=threshold)
        axes.plot(alarm, recall, "o", color=colour)
    axes.set(xlabel="false alarm rate (1 - specificity)", ylabel="recall")
    axes.legend(loc="lower right", fontsize=8)
    return save_figure(figure, path, dots)


def _band_of(
    predictions: PredictionSet,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """False alarm rates, and the least and the largest recall at each, of 95 % of resamplings."""
    random = np.random.default_rng(BOOTSTRAP_SEED)
    positive = predictions.scores[predictions.labels]
    negative = predictions.scores[~predictions.labels]
    rates = np.linspace(0, 1, 101)
    recalls = np.empty((BAND_RESAMPLES, len(rates)))
    for row in recalls:
        found = np.sort(random.choice(positive, len(positive)))
        levels = np.quantile(random.choice(negative, len(negative)), 1 - rates, method="higher")
        row[:] = 1 - np.searchsorted(found, levels, side="left") / len(found)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(recalls, (tail, 1 - tail), axis=0)
    return rates, low, high


def draw_precision_recall_curves(
    sides: Sides, path: Path, *, threshold: float, dataset: str
) -> Path:
    """Precision over recall, with the operating point marked and prevalence dotted."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    title = f"Precision and recall, {dataset}, threshold {threshold:.3f} marked"
    figure, axes = _curve_frame(title)
    for colour, side, predictions in _of_both_classes(sides):
        precisions, recalls, _ = precision_recall_curve(predictions.labels, predictions.scores)
        area = average_precision_score(predictions.labels, predictions.scores)
        label = f"{side}, average precision {area:.3f} ({_describe(predictions)})"
        axes.plot(recalls, precisions, color=colour, label=label)
        axes.axhline(predictions.labels.mean(), color=colour, linestyle=":", linewidth=1)
        _, recall, precision = operating_shares(predictions, threshold=threshold)
        axes.plot(recall, precision, "o", color=colour)
    axes.set(xlabel="recall", ylabel="precision")
    axes.legend(loc="lower left", fontsize=8)
    return save_figure(figure, path)


def _curve_frame(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlim=UNIT, ylim=UNIT)
    axes.grid(alpha=0.25)
    return figure, axes


def _of_both_classes(sides: Sides) -> Iterator[tuple[str, str, PredictionSet]]:
    """Colour, name and predictions of each side; one that lacks a class is an error."""
    for colour, (side, predictions) in zip(SIDE_COLOURS, sides.items(), strict=False):
        if predictions.labels.all() or not predictions.labels.any():
            raise EdgeMelanomaError(
                f"The {side} side has images of one class only; a curve needs both classes."
            )
        yield colour, side, predictions


def operating_shares(predictions: PredictionSet, *, threshold: float) -> tuple[float, float, float]:
    """False alarm rate, recall and precision at a threshold; precision is NaN without alarms."""
    counts = count_confusions(predictions, threshold=threshold)
    called = counts.true_positive + counts.false_positive
    return (
        counts.false_positive / (counts.false_positive + counts.true_negative),
        counts.true_positive / (counts.true_positive + counts.false_negative),
        counts.true_positive / called if called else math.nan,
    )


def draw_reliability(models: Sides, path: Path, *, dataset: str, dots: int = DOTS_PER_INCH) -> Path:
    """Share of malignant pictures over mean score, bin by bin, above how many score so.

    `models` are sides of one model or models on one side; a dot's area grows with its images.
    """
    figure = Figure(figsize=(7.2, 8.4), layout="constrained")
    axes, histogram = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    axes.plot([0, 1], [0, 1], color="#BBBBBB", linestyle=":", linewidth=1)
    for colour, (name, predictions) in zip(SIDE_COLOURS, models.items(), strict=False):
        measured = measure_reliability(predictions)
        filled = [one for one in measured.bins if one["images"]]
        means, shares, images = zip(
            *((b["mean_score"], b["malignant_share"], b["images"]) for b in filled), strict=True
        )
        label = (
            f"{name}, ECE {measured.ece:.3f} (by chance {measured.ece_if_perfect:.3f}), "
            f"Brier {measured.brier:.3f} ({_describe(predictions)})"
        )
        axes.plot(means, shares, color=colour, linewidth=1, label=label)
        axes.scatter(means, shares, s=200 * np.sqrt(images) / np.sqrt(sum(images)), color=colour)
        histogram.stairs([one["images"] for one in measured.bins], EDGES, color=colour)
    axes.set(ylim=(-0.02, 1.02), ylabel="share malignant", title=f"Reliability, {dataset}")
    axes.grid(alpha=0.25)
    histogram.set(xlim=(-0.02, 1.02), yscale="log", xlabel="mean score", ylabel="images")
    histogram.yaxis.set_major_formatter("{x:g}")  # powers of ten are mathematics
    figure.legend(loc="outside lower center", fontsize=8)
    return save_figure(figure, path, dots)


def draw_risk_coverage(
    models: Sides, path: Path, *, threshold: float, dataset: str, dots: int = DOTS_PER_INCH
) -> Path:
    """Share of wrong answers over the share of pictures that get one, the surest first."""
    figure = Figure(figsize=(8, 5.2), layout="constrained")
    axes = figure.subplots()
    for colour, (name, predictions) in zip(SIDE_COLOURS, models.items(), strict=False):
        coverages, risks = risk_curve(predictions, threshold=threshold)
        label = f"{name}, mean {risks.mean():.3f} ({_describe(predictions)})"
        axes.plot(coverages, risks, color=colour, label=label)
    axes.set(title=f"Risk over coverage, {dataset}, threshold {threshold:.3f}", xlim=UNIT)
    axes.set(xlabel="share of pictures answered", ylabel="share of answers that are wrong")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.25)
    axes.legend(loc="upper left", fontsize=8)
    return save_figure(figure, path, dots)


def draw_training_curves(
    history: Sequence[Mapping[str, float | int | str]], path: Path, *, title: str
) -> Path:
    """Loss, recall, accuracy and AUC over all epochs; a line where a new stage begins."""
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    epochs = np.arange(1, len(history) + 1)
    starts = [i for i in range(1, len(history)) if history[i]["stage"] != history[i - 1]["stage"]]
    lines = (("", "training", "#7F7F7F"), ("val_", "validation", "#009E73"))
    names = ("recall", "loss", "accuracy", "auc")
    for axes, name in zip(figure.subplots(2, 2).flat, names, strict=True):
        for prefix, label, colour in lines:
            values = [float(row[f"{prefix}{name}"]) for row in history]
            axes.plot(epochs, values, marker=".", color=colour, label=label)
        for start in starts:
            axes.axvline(start + 0.5, color="#BBBBBB", linestyle="--", linewidth=1)
        axes.set(title=name if name != "auc" else "AUC", xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
    figure.axes[0].legend(fontsize=8)
    figure.suptitle(f"{title} (threshold 0.5)")
    return save_figure(figure, path)


def draw_class_distribution(
    counts: Mapping[str, tuple[int, int]], path: Path, *, dataset: str
) -> Path:
    """Bars of benign and malignant images a side."""
    total = sum(map(sum, counts.values()))
    figure = Figure(figsize=(8, 4.4), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(counts))
    benign, malignant = zip(*counts.values(), strict=True)
    for shift, name, numbers, colour in (
        (-0.2, "benign", benign, BENIGN_COLOUR),
        (0.2, "malignant", malignant, MALIGNANT_COLOUR),
    ):
        axes.bar_label(axes.bar(places + shift, numbers, width=0.38, color=colour, label=name))
    axes.set_xticks(places, list(counts))
    axes.set(ylabel="images", title=f"{dataset}: {total} images by side and class")
    axes.legend()
    return save_figure(figure, path)


def draw_sample_sheet(
    rows: Mapping[str, Sequence[NDArray[np.uint8]]], path: Path, *, title: str
) -> Path:
    """Up to eight pictures a row, the row's name above its first."""
    figure = Figure(figsize=(12, 1.75 * len(rows) + 0.5), layout="constrained")
    grid = figure.subplots(len(rows), SAMPLES_A_ROW, squeeze=False)
    for cells, (name, pictures) in zip(grid, rows.items(), strict=True):
        cells[0].set_title(name, fontsize=10, loc="left")
        for axes in cells:
            axes.set_axis_off()
        for axes, picture in zip(cells, pictures, strict=False):
            axes.imshow(picture)
    figure.suptitle(title)
    return save_figure(figure, path)


def take_as_text(figure: Figure) -> None:
    """Whatever is written in it: a data set may be called `a$b`, or steer a reader of SVG."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)
        text.set_text(shown(text.get_text()))
    # A sign that the font lacks is a box, whose code the warning tells.
    warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)


def save_figure(figure: Figure, path: Path, dots: int = DOTS_PER_INCH) -> Path:
    """Write a picture as PNG or PDF, by its name, the same bytes for the same content."""
    buffer = io.BytesIO()
    take_as_text(figure)
    form = path.suffix.removeprefix(".")
    date = {"CreationDate": None} if form == "pdf" else {"Software": None}
    figure.savefig(buffer, format=form, dpi=dots, metadata=date)
    write_atomically(path, buffer.getvalue())
    return path
