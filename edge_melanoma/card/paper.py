"""What `evaluate --out` writes for a paper: figures, scores, subgroups, a paragraph of methods."""

from pathlib import Path
from typing import Any

from edge_melanoma import __version__
from edge_melanoma.card.subgroups import measure_subgroups
from edge_melanoma.card.traits import read_traits
from edge_melanoma.data.images import RESIZE_ID
from edge_melanoma.evaluation import figures
from edge_melanoma.evaluation.evaluation import explain_undefined
from edge_melanoma.evaluation.predictions import predictions_to_csv
from edge_melanoma.evaluation.subject import Evaluated
from edge_melanoma.machine.files import rows_to_csv, write_atomically
from edge_melanoma.machine.markdown import text_of
from edge_melanoma.machine.terminal import Reporter

SCORES, SUBGROUPS, METHODS = "scores.csv", "subgroups.csv", "methods.md"
FIGURES = ("roc", "reliability", "confusion", "risk_coverage")
FORMS, DOTS_PER_INCH = ("pdf", "png"), 300
FILES = (SCORES, SUBGROUPS, METHODS, *(f"{name}.{form}" for name in FIGURES for form in FORMS))


def write_paper(folder: Path, evaluated: Evaluated, *, reporter: Reporter) -> tuple[Path, ...]:
    """Write the files of `FILES`, and return their paths; figures are PDF, and PNG of 300 dpi.

    Pictures of one class have no ROC curve.
    """
    result, scores = evaluated.result, evaluated.scores
    threshold, name = result["threshold"], str(result["dataset"]["name"])
    sides = {name: scores}
    both = not explain_undefined(**_classes(result))
    drawn: dict[str, Any] = {"dataset": name, "dots": DOTS_PER_INCH}
    at = {**drawn, "threshold": threshold}
    for form in FORMS:
        if both:
            figures.draw_roc_curves(sides, folder / f"roc.{form}", with_band=True, **at)
        figures.draw_reliability(sides, folder / f"reliability.{form}", **drawn)
        figures.draw_confusion_matrices(sides, folder / f"confusion.{form}", **at)
        figures.draw_risk_coverage(sides, folder / f"risk_coverage.{form}", **at)
    traits = read_traits(evaluated.pictures.records, reporter=reporter)
    groups = measure_subgroups(scores, traits, threshold=threshold)["groups"]
    write_atomically(folder / SCORES, predictions_to_csv(scores))
    write_atomically(folder / SUBGROUPS, _subgroups_to_csv(groups))
    write_atomically(folder / METHODS, describe_methods(result))
    return tuple(folder / file for file in FILES if both or not file.startswith("roc."))


def _subgroups_to_csv(groups: list[dict[str, Any]]) -> str:
    rows = [{name: _cell(value) for name, value in group.items()} for group in groups]
    return rows_to_csv(rows) if rows else "\n"


def _cell(value: object) -> object:
    """Intervals as `low..high`; what is not defined is empty."""
    if isinstance(value, tuple | list):
        return "..".join(f"{bound:.4f}" for bound in value)
    if isinstance(value, dict):
        return "; ".join(f"{name}: {reason}" for name, reason in value.items())
    return "" if value is None else value


def describe_methods(result: dict[str, Any]) -> str:
    """A paragraph in the words of a methods section, of what `evaluate --json` writes."""
    model, data = result["model"], result["dataset"]
    left_out = result.get("left_out")
    sentences = [
        f"The model {text_of(model['file'])} ({text_of(model['mode'])}, sha256 "
        f"{model['sha256'][:12]}) was evaluated with edge-melanoma {__version__} on "
        f"{data['images']} images of {text_of(data['name'])} "
        f"({data['malignant']} malignant, {data['benign']} benign).",
        f"{left_out} images were left out as copies of images that it had learned from."
        if left_out
        else "",
        f"Each picture was turned upright and resized to 224x224 pixels ({RESIZE_ID}).",
        f"At a threshold of {result['threshold']:.4f} (source: {result['threshold_source']}) "
        f"{_shares(result)}.",
        _area(result),
        "Shares have Wilson's 95 % intervals. The band of the ROC curve holds, at each false alarm "
        "rate, 95 % of 1,000 resamplings that were stratified by class."
        if not explain_undefined(**_classes(result))
        else f"The {explain_undefined(**_classes(result))}.",
    ]
    return " ".join(filter(None, sentences)) + "\n"


def _classes(result: dict[str, Any]) -> dict[str, int]:
    return {name: result["dataset"][name] for name in ("benign", "malignant")}


def _shares(result: dict[str, Any]) -> str:
    shown = []
    for name in ("recall", "specificity", "accuracy"):
        value, bounds = result["metrics"][name], result["intervals"].get(name)
        if value is not None and bounds:
            shown.append(f"the {name} was {value:.3f} ({bounds[0]:.3f} to {bounds[1]:.3f})")
    return ", ".join(shown)


def _area(result: dict[str, Any]) -> str:
    value, bounds = result["metrics"]["auc"], result["intervals"].get("auc")
    if value is None or not bounds:
        return ""
    return (
        f"The area under the ROC curve was {value:.3f} ({bounds[0]:.3f} to {bounds[1]:.3f}; "
        f"DeLong's variance on the logit scale)."
    )
