"""What evaluation.json says of a model: metrics with intervals, and what they were measured on."""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from edge_melanoma.evaluation import metrics
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.evaluation.promises import measure_answers
from edge_melanoma.evaluation.reliability import measure_reliability
from edge_melanoma.evaluation.risk_coverage import measure_risk_coverage
from edge_melanoma.evaluation.sources import measure_within
from edge_melanoma.evaluation.thresholds import OperatingPoint
from edge_melanoma.machine.markdown import DASH

CONVENTIONAL_THRESHOLD = 0.5
"""The original work's, and that of most published tables."""

METRICS = ("recall", "specificity", "precision", "f1", "accuracy", "auc")
WITHOUT_LEAKED = "test_without_leaked"
"""The given test side without pictures that have copies in the given training part."""


def evaluate_defined(predictions: PredictionSet, *, threshold: float) -> dict[str, Any]:
    """Metrics, 95 % intervals, confusion counts and classification report at one threshold.

    The pictures may be of one class, as a set from elsewhere can turn out to be: a metric that one
    class alone does not define is none, and `undefined` names it.
    """
    images = count_images(predictions)
    undefined = undefined_metrics(benign=images["benign"], malignant=images["malignant"])
    counts = metrics.count_confusions(predictions, threshold=threshold)
    told: dict[str, Any] = {"threshold": threshold}
    if undefined:
        # One class defines its own share, and the accuracy, which is equal.
        defined = [name for name in METRICS if name not in undefined]
        right, of = counts.true_positive + counts.true_negative, images["images"]
        told["metrics"] = dict.fromkeys(METRICS) | dict.fromkeys(defined, right / of)
        told["intervals"] = dict.fromkeys(defined, metrics.wilson_interval(right, of))
    else:
        told["metrics"] = metrics.measure(predictions, threshold=threshold).as_dict()
        told["intervals"] = metrics.measure_intervals(predictions, threshold=threshold)
        undefined = tuple(name for name, value in told["metrics"].items() if value is None)
    has_both = told["metrics"]["auc"] is not None
    report = _classification_report(predictions, threshold=threshold) if has_both else None
    told |= {"confusion": asdict(counts), "classification_report": report}
    return told | {"undefined": list(undefined)}


def undefined_metrics(*, benign: int, malignant: int) -> tuple[str, ...]:
    """What pictures of one class do not define; nothing where there are both.

    Precision and F1 could be computed, and would only tell which class is missing.
    """
    if benign and malignant:
        return ()
    missing = "specificity" if malignant else "recall"
    return tuple(name for name in METRICS if name in (missing, "precision", "f1", "auc"))


def explain_undefined(*, benign: int, malignant: int) -> str | None:
    """The same in words, with the reason."""
    names = undefined_metrics(benign=benign, malignant=malignant)
    if not names:
        return None
    shown = [{"f1": "F1", "auc": "AUC"}.get(name, name) for name in names]
    lacking = "benign" if malignant else "malignant"
    return f"{', '.join(shown[:-1])} and {shown[-1]} are undefined without {lacking} images"


def format_share(value: float | None, *, sign: str = "") -> str:
    """A metric as a table shows it, a dash where it is undefined; `sign` is + for drops."""
    return DASH if value is None else f"{value:{sign}.4f}"


def evaluate_at_both(predictions: PredictionSet, *, threshold: float) -> dict[str, Any]:
    """At the operating point and at 0.5, the calibration, and what holds within sources.

    Whatever classes there are.
    """
    return {
        **measure_within(predictions, threshold=threshold),
        "calibration": measure_reliability(predictions).as_dict(),
        "risk_coverage": measure_risk_coverage(predictions, threshold=threshold),
        "at_operating_point": evaluate_defined(predictions, threshold=threshold),
        "at_half": evaluate_defined(predictions, threshold=CONVENTIONAL_THRESHOLD),
    }


def evaluate_sides(
    sides: Mapping[str, PredictionSet],
    *,
    operating_point: OperatingPoint,
    dataset: Mapping[str, object],
    leaked_test: Collection[str] = (),
) -> dict[str, Any]:
    """The content of evaluation.json: every side at the operating point and at 0.5, and its ECE.

    Where test pictures have copies in the given training part (`leaked_test`, their ids), the test
    side is measured without them too.
    """
    threshold = operating_point.threshold
    rest = without_images(sides["test"], leaked_test) if leaked_test else None
    if rest is not None and len(rest.labels):
        sides = {**sides, WITHOUT_LEAKED: rest}
    return {
        "schema": 1,
        "dataset": dict(dataset),
        "operating_point": asdict(operating_point),
        "sides": {
            side: count_images(one) | evaluate_at_both(one, threshold=threshold)
            for side, one in sides.items()
        },
        "external": {},
    }


def without_images(predictions: PredictionSet, image_ids: Collection[str]) -> PredictionSet:
    """The predictions of all other pictures."""
    return predictions.only(~np.isin(predictions.image_ids, list(image_ids)))


def count_images(predictions: PredictionSet) -> dict[str, int]:
    """All, malignant and benign ones."""
    images, malignant = len(predictions.labels), int(predictions.labels.sum())
    return {"images": images, "malignant": malignant, "benign": images - malignant}


def _classification_report(predictions: PredictionSet, *, threshold: float) -> dict[str, Any]:
    from sklearn.metrics import classification_report

    decided = predictions.decisions(threshold=threshold)
    report: dict[str, Any] = classification_report(
        predictions.labels,
        decided,
        labels=[False, True],
        target_names=["benign", "malignant"],
        output_dict=True,
        zero_division=0.0,
    )
    for name, called in (("benign", ~decided), ("malignant", decided)):
        if not called.any():
            report[name]["precision"] = None
    return report


def measure_set(
    predictions: PredictionSet, threshold: float, promise: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Figures at one threshold, within sources and over all, calibration, risk over coverage.

    With the promise of a model that gives three answers, what becomes of it in `decisions`.
    """
    measured = _measure_at(predictions, threshold)
    return {
        **measured,
        "calibration": measure_reliability(predictions).as_dict(),
        "risk_coverage": measure_risk_coverage(predictions, threshold=threshold),
        **({"decisions": measure_answers(predictions, promise)} if promise else {}),
    }


def _measure_at(predictions: PredictionSet, threshold: float) -> dict[str, Any]:
    within = measure_within(predictions, threshold=threshold)
    return within | evaluate_defined(predictions, threshold=threshold)


def measure_without_leaked(
    predictions: PredictionSet, threshold: float, *, leaked: Collection[str]
) -> dict[str, Any]:
    """The run's test side without pictures that have copies in the given training part, if any."""
    rest = without_images(predictions, leaked)
    if not leaked or not len(rest.labels):
        return {}
    return {WITHOUT_LEAKED: count_images(rest) | _measure_at(rest, threshold)}
