"""A network and its files on pictures from elsewhere, with scores that can be counted by hand."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from made import predictions_of

from edge_melanoma.benchmarks.parity.comparison import NO_POINT_OF_ITS_OWN
from edge_melanoma.benchmarks.parity.outside import compare_outside
from edge_melanoma.benchmarks.report.tables import describe_outside, outside_section
from edge_melanoma.data.cards import describe_dataset
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.judged_pictures import JudgedPictures
from edge_melanoma.evaluation.predictions import PredictionSet

BEFORE = predictions_of(malignant=(0.9, 0.6), benign=(0.7, 0.2, 0.1, 0.3))
AFTER = predictions_of(malignant=(0.9, 0.4), benign=(0.3, 0.2, 0.6, 0.3))


def external_of(predictions: PredictionSet) -> JudgedPictures:
    records = tuple(
        LesionRecord(image_id=name, path=Path(name), is_malignant=bool(label), sha256=name)
        for name, label in zip(predictions.image_ids, predictions.labels, strict=True)
    )
    return JudgedPictures(
        records=records,
        dataset=describe_dataset("clinic", records),
        left_out=("copy.png",),
        compared_by="bytes",
    )


def compare(
    before: PredictionSet, after: PredictionSet, own: Mapping[str, float]
) -> dict[str, Any]:
    return compare_outside(
        external_of(before), before, {"int8": after}, threshold=0.5, own_thresholds=own
    )


def entry(
    before: PredictionSet = BEFORE, after: PredictionSet = AFTER, **own: float
) -> dict[str, Any]:
    return compare(before, after, own)


def rows_of(told: dict[str, Any]) -> list[list[str]]:
    return [list(row) for row in outside_section(told).rows]


def test_the_entry_of_a_report_says_what_was_measured_on_what() -> None:
    told = entry()
    assert (told["dataset"]["name"], told["dataset"]["images"], told["left_out"]) == (
        "clinic",
        6,
        1,
    )
    assert told["reference"]["metrics"]["recall"] == 1.0
    (candidate,) = told["candidates"]
    assert candidate["mode"] == "int8"
    assert candidate["metrics"]["recall"] == 0.5
    assert candidate["drop"]["recall"] == 0.5
    assert candidate["drop"]["specificity"] == 0.0
    assert candidate["agreement"] == 0.5
    assert candidate["max_score_difference"] == 0.5
    assert candidate["flips"] == {
        "lost_malignant": 1,
        "gained_malignant": 0,
        "new_false_alarm": 1,
        "cleared_false_alarm": 1,
    }


def test_of_one_class_what_is_defined_is_compared() -> None:
    benign = predictions_of(malignant=(), benign=(0.7, 0.2))
    (candidate,) = entry(benign, predictions_of(malignant=(), benign=(0.3, 0.2)))["candidates"]
    assert (candidate["metrics"]["recall"], candidate["drop"]["recall"]) == (None, None)
    assert (candidate["metrics"]["specificity"], candidate["drop"]["specificity"]) == (1.0, -0.5)
    assert candidate["undefined"] == ["recall", "precision", "f1", "auc"]


def test_other_pictures_are_not_compared() -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        entry(BEFORE, predictions_of(malignant=(0.9,), benign=(0.7,)))
    assert str(caught.value) == (
        "The two prediction sets are of different images; score both models on the same ones."
    )


def test_a_row_a_model_recall_first() -> None:
    assert rows_of(entry()) == [
        ["keras", "1.0000", "", "0.7500", "", "0.8333", "0.8750", *[""] * 4],
        [
            *["int8", "0.5000", "+0.5000", "0.7500", "+0.0000", "0.6667", "0.8750", "50.00%"],
            *["1/0", "", ""],
        ],
    ]


def test_a_file_is_measured_at_its_own_threshold_too() -> None:
    (candidate,) = entry(int8=0.35)["candidates"]
    (own,) = candidate["operating_points"]
    assert (own["name"], own["reference_threshold"], own["missing"]) == ("own", 0.5, None)
    assert (own["candidate_threshold"], own["candidate"]["recall"]) == (0.35, 1.0)
    assert {"intervals", "undefined"} <= set(own)
    assert candidate["metrics"]["recall"] == 0.5
    _, row = rows_of(entry(int8=0.35))
    assert row[-2:] == ["1.0000", "0.7500"]


def test_a_file_without_a_threshold_of_its_own_says_so() -> None:
    (candidate,) = entry(float16=0.35)["candidates"]
    (own,) = candidate["operating_points"]
    assert own == {
        "name": "own",
        "reference_threshold": 0.5,
        "candidate_threshold": None,
        "missing": NO_POINT_OF_ITS_OWN,
    }


def test_the_line_above_a_table_names_what_is_undefined() -> None:
    assert describe_outside(entry()) == (
        "Outside, clinic: 6 images, 2 malignant, 1 left out as copies"
    )
    benign = predictions_of(malignant=(), benign=(0.7, 0.2))
    assert describe_outside(entry(benign, benign)) == (
        "Outside, clinic: 2 images, 0 malignant, 1 left out as copies; "
        "recall, precision, F1 and AUC are undefined without malignant images"
    )
