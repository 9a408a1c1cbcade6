"""What evaluation.json says of a model: metrics with intervals, and what they were measured on."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from edge_melanoma.lesions import LesionRecord, count_classes
from edge_melanoma.metrics import count_confusions, measure, measure_intervals
from edge_melanoma.predictions import PredictionSet
from edge_melanoma.reliability import measure_reliability
from edge_melanoma.splits import fingerprint_of
from edge_melanoma.thresholds import OperatingPoint

CONVENTIONAL_THRESHOLD = 0.5
"""The original work's, and that of most published tables."""


def describe_dataset(name: str, records: Sequence[LesionRecord]) -> dict[str, object]:
    """What a figure was measured on."""
    benign, malignant = count_classes(tuple(records))
    return {
        "name": name,
        "images": len(records),
        "benign": benign,
        "malignant": malignant,
        "fingerprint": fingerprint_of({name: records}),
    }


def evaluate_predictions(predictions: PredictionSet, *, threshold: float) -> dict[str, Any]:
    """Metrics, 95 % intervals, confusion counts and classification report at one threshold."""
    return {
        "threshold": threshold,
        "metrics": measure(predictions, threshold=threshold).as_dict(),
        "intervals": measure_intervals(predictions, threshold=threshold),
        "confusion": asdict(count_confusions(predictions, threshold=threshold)),
        "classification_report": _classification_report(predictions, threshold=threshold),
    }


def evaluate_sides(
    sides: Mapping[str, PredictionSet],
    *,
    operating_point: OperatingPoint,
    dataset: Mapping[str, object],
) -> dict[str, Any]:
    """The content of evaluation.json: every side at the operating point and at 0.5, and its ECE."""
    return {
        "schema": 1,
        "dataset": dict(dataset),
        "operating_point": asdict(operating_point),
        "sides": {
            side: {
                "images": len(predictions.labels),
                "malignant": int(predictions.labels.sum()),
                "benign": int((~predictions.labels).sum()),
                "calibration": measure_reliability(predictions).as_dict(),
                "at_operating_point": evaluate_predictions(
                    predictions, threshold=operating_point.threshold
                ),
                "at_half": evaluate_predictions(predictions, threshold=CONVENTIONAL_THRESHOLD),
            }
            for side, predictions in sides.items()
        },
    }


def _classification_report(predictions: PredictionSet, *, threshold: float) -> dict[str, Any]:
    from sklearn.metrics import classification_report

    report: dict[str, Any] = classification_report(
        predictions.labels,
        predictions.decisions(threshold=threshold),
        labels=[False, True],
        target_names=["benign", "malignant"],
        output_dict=True,
        zero_division=0.0,
    )
    return report
