"""What parity.json says of each model apart from the comparison: its own threshold, its ECE."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from edge_melanoma.evaluation.metrics import count_confusions, measure, measure_intervals
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.evaluation.reliability import measure_reliability
from edge_melanoma.runs.artifacts import ConvertedModel


def add_own_figures(
    told: Mapping[str, Any],
    scores: Mapping[str, PredictionSet],
    exports: Sequence[ConvertedModel],
) -> dict[str, Any]:
    """The content of parity.json with `calibration` and `at_own_threshold` for each model.

    `told` is a report's and `scores` are by mode, `keras` for the reference. Drops and flips are at
    the reference's threshold; a phone decides at the file's own, none for a file without one.
    """
    points = {model.mode: model.manifest.get("operating_point") for model in exports}
    return {
        **told,
        "reference": _with_calibration(told["reference"], scores),
        "candidates": [
            {
                **_with_calibration(candidate, scores),
                "at_own_threshold": _at_own_threshold(
                    scores[candidate["mode"]], points[candidate["mode"]]
                ),
            }
            for candidate in told["candidates"]
        ],
    }


def explain_own_figures(told: Mapping[str, Any]) -> Iterator[str]:
    """A line a candidate for a person, of what `add_own_figures` gives."""
    before = told["reference"]["calibration"]["ece"]
    for candidate in told["candidates"]:
        own, ece = candidate["at_own_threshold"], candidate["calibration"]["ece"]
        error = f"calibration error {before:.4f} -> {ece:.4f}"
        if own is None:
            yield f"{candidate['mode']} has no threshold of its own; {error}"
            continue
        integer = "" if own["integer"] is None else f" (integer {own['integer']})"
        metrics = own["metrics"]
        yield (
            f"{candidate['mode']} at its own threshold {own['threshold']:.4f}{integer}: recall "
            f"{metrics['recall']:.4f}, specificity {metrics['specificity']:.4f}; {error}"
        )


def _with_calibration(
    model: Mapping[str, Any], scores: Mapping[str, PredictionSet]
) -> dict[str, Any]:
    return {**model, "calibration": measure_reliability(scores[model["mode"]]).as_dict()}


def _at_own_threshold(
    scores: PredictionSet, point: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    if point is None:
        return None
    threshold = point["threshold"]
    return {
        "threshold": threshold,
        "integer": point["integer"],
        "min_recall": point["min_recall"],
        "metrics": measure(scores, threshold=threshold).as_dict(),
        "intervals": measure_intervals(scores, threshold=threshold),
        "confusion": asdict(count_confusions(scores, threshold=threshold)),
    }
