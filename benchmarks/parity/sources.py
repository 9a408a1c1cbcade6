"""Every model within each clinic, as a section of the parity report."""

from collections.abc import Mapping
from typing import Any

from edge_melanoma.benchmarks.sections import Column, ReportSection, section_of
from edge_melanoma.evaluation.evaluation import format_share
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.evaluation.sources import measure_within

WITHIN: tuple[Column, ...] = (
    ("model", "{0[mode]}"),
    ("source", "{0[source]}"),
    ("recall", lambda row: format_share(row["recall"])),
    ("specificity", lambda row: format_share(row["specificity"])),
    ("AUC", lambda row: format_share(row["auc"])),
    ("AUC drop", lambda row: "" if row["drop"] is None else f"{row['drop']:+.4f}"),
    ("melanomas", "{0[malignant]}"),
    ("benign", "{0[benign]}"),
)


def within_section(
    scores: Mapping[str, PredictionSet], thresholds: Mapping[str, float]
) -> ReportSection:
    """A row a model and source, each model at its own of `thresholds`; the reference comes first.

    In parity.json, `within_source` has by mode what `evaluate --json` says of sources.
    """
    content = {
        mode: measure_within(found, threshold=thresholds[mode]) for mode, found in scores.items()
    }
    reference = next(iter(content.values()))["within_source"]
    rows: list[dict[str, Any]] = []
    for mode, told in content.items():
        for name, found in told["within_source"].items():
            before = reference[name]["auc"]
            drop = None if before is None else before - found["auc"]
            rows.append({**found, "mode": mode, "source": name, "drop": drop})
    return section_of(
        "Melanomas against benign lesions of the same source",
        WITHIN,
        rows,
        note="Each model at its own threshold.",
        key="within_source",
        content=content,
    )
