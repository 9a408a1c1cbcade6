"""What silence buys: how many answers are wrong if the pictures nearest the threshold get none.

The curve of risk over coverage (El-Yaniv and Wiener, 2010). How sure an answer is, is the distance
of its score from the threshold, in units of the logit.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.evaluation.metrics import wilson_interval
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.evaluation.reliability import SMALLEST_SCORE
from edge_melanoma.tflite.quantization import logit

COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
HEADER = ("answered", "pictures", "wrong", "95 % interval", "melanomas missed", "false alarms")

Numbers = NDArray[np.float64]


def measure_risk_coverage(predictions: PredictionSet, *, threshold: float) -> dict[str, Any]:
    """A row for each of `COVERAGES`, and `aurc`, the mean risk over all coverages.

    `risk` is the share of the answered pictures that are answered wrongly, at the threshold.
    """
    order, risks = _ordered(predictions, threshold)
    return {
        "threshold": threshold,
        "aurc": float(risks.mean()),
        "rows": list(_rows(predictions, order, threshold)),
    }


def risk_curve(predictions: PredictionSet, *, threshold: float) -> tuple[Numbers, Numbers]:
    """Coverages and the risk at each, both of shape (n,)."""
    _, risks = _ordered(predictions, threshold)
    return np.arange(1, len(risks) + 1) / len(risks), risks


def _ordered(predictions: PredictionSet, threshold: float) -> tuple[NDArray[np.intp], Numbers]:
    """The surest first, and the share that is wrong of each number of them."""
    ends = SMALLEST_SCORE, 1 - SMALLEST_SCORE
    scores, limit = predictions.scores.clip(*ends), np.array([threshold]).clip(*ends)
    order = np.argsort(-np.abs(logit(scores) - logit(limit)), kind="stable")
    wrong = (predictions.decisions(threshold=threshold) != predictions.labels)[order]
    return order, np.cumsum(wrong) / np.arange(1, len(wrong) + 1)


def _rows(
    predictions: PredictionSet, order: NDArray[np.intp], threshold: float
) -> Iterator[dict[str, Any]]:
    called = predictions.decisions(threshold=threshold)
    for coverage in COVERAGES:
        kept = order[: max(1, round(coverage * len(order)))]
        labels, decided = predictions.labels[kept], called[kept]
        wrong = int((labels != decided).sum())
        yield {
            "coverage": len(kept) / len(order),
            "images": len(kept),
            "risk": wrong / len(kept),
            "risk_interval": wilson_interval(wrong, len(kept)),
            "malignant": int(labels.sum()),
            "missed": int((labels & ~decided).sum()),
            "benign": int((~labels).sum()),
            "false_alarms": int((~labels & decided).sum()),
        }


def risk_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A row under `HEADER`."""
    low, high = row["risk_interval"]
    return (
        f"{row['coverage']:.0%}",
        f"{row['images']}",
        f"{row['risk']:.4f}",
        f"{low:.4f} .. {high:.4f}",
        f"{row['missed']} of {row['malignant']}",
        f"{row['false_alarms']} of {row['benign']}",
    )
