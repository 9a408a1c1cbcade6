"""parity.json tells what each file does at its own threshold, and its ECE beside Keras'."""

import json
from pathlib import Path
from typing import Any

import pytest
from made import predictions_of

from edge_melanoma.benchmarks.parity.verdict import add_own_figures, explain_own_figures
from edge_melanoma.runs.models import ConvertedModel

KERAS = predictions_of(malignant=(0.9, 0.8, 0.7), benign=(0.1, 0.2, 0.6))
SCORES = {
    "keras": KERAS,
    "int8": predictions_of(malignant=(0.875, 0.75, 0.5), benign=(0.125, 0.25, 0.625)),
    "float32": KERAS,
}
POINT = {"threshold": 0.4, "integer": -25, "min_recall": 0.95}


def export(mode: str, **manifest: Any) -> ConvertedModel:
    path = Path(f"model_{mode}.tflite")
    return ConvertedModel(path=path, mode=mode, data=b"", sha256="", manifest=manifest)


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    report = {
        "schema": 1,
        "reference": {"mode": "keras"},
        "candidates": [{"mode": "int8", "verdict": "pass"}, {"mode": "float32"}],
    }
    exports = [export("float32", operating_point=None), export("int8", operating_point=POINT)]
    added = add_own_figures(report, SCORES, exports)
    assert set(report["candidates"][0]) == {"mode", "verdict"}  # type: ignore[index]  # a list
    return added


def test_a_candidate_is_judged_at_its_own_threshold_too(told: dict[str, Any]) -> None:
    own = told["candidates"][0]["at_own_threshold"]
    assert (own["threshold"], own["integer"], own["min_recall"]) == (0.4, -25, 0.95)
    assert (own["metrics"]["recall"], own["metrics"]["specificity"]) == (1.0, 2 / 3)
    assert own["confusion"] == {
        "true_positive": 3,
        "false_negative": 0,
        "false_positive": 1,
        "true_negative": 2,
    }
    assert set(own["intervals"]) >= {"recall", "specificity"}


def test_a_file_without_a_point_has_none(told: dict[str, Any]) -> None:
    assert told["candidates"][1]["at_own_threshold"] is None


def test_what_was_there_stays_and_every_model_has_its_calibration(told: dict[str, Any]) -> None:
    assert (told["schema"], told["candidates"][0]["verdict"]) == (1, "pass")
    models = [told["reference"], *told["candidates"]]
    assert [model["calibration"]["brier"] for model in models] == pytest.approx(
        [0.55 / 6, (0.125**2 * 2 + 0.25**2 * 2 + 0.5**2 + 0.625**2) / 6, 0.55 / 6]
    )
    json.dumps(told, allow_nan=False)


def test_a_line_a_candidate_says_recall_first(told: dict[str, Any]) -> None:
    before, after = (
        model["calibration"]["ece"] for model in (told["reference"], told["candidates"][0])
    )
    assert list(explain_own_figures(told)) == [
        "int8 at its own threshold 0.4000 (integer -25): recall 1.0000, specificity 0.6667; "
        f"calibration error {before:.4f} -> {after:.4f}",
        f"float32 has no threshold of its own; calibration error {before:.4f} -> {before:.4f}",
    ]
