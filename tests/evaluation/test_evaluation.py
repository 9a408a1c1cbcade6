"""What is undefined is none and named; leaked pictures are taken out of a second test row."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from made import predictions_of

from edge_melanoma.evaluation.evaluation import (
    WITHOUT_LEAKED,
    evaluate_defined,
    evaluate_sides,
    explain_undefined,
    format_share,
    undefined_metrics,
    without_images,
)
from edge_melanoma.evaluation.metrics import (
    count_confusions,
    measure,
    measure_intervals,
    wilson_interval,
)
from edge_melanoma.evaluation.thresholds import OperatingPoint

BOTH = predictions_of(malignant=(0.9, 0.4), benign=(0.6, 0.2, 0.1))
POINT = OperatingPoint(
    threshold=0.3,
    min_recall=0.95,
    recall=1.0,
    recall_interval=(0.3, 1.0),
    specificity=0.7,
    malignant=2,
    benign=3,
)


def test_pictures_of_both_classes_define_every_metric() -> None:
    told = evaluate_defined(BOTH, threshold=0.5)
    assert told["metrics"] == measure(BOTH, threshold=0.5).as_dict()
    assert told["intervals"] == measure_intervals(BOTH, threshold=0.5)
    assert told["confusion"] == asdict(count_confusions(BOTH, threshold=0.5))
    assert told["classification_report"]["malignant"]["recall"] == 1 / 2
    assert (told["threshold"], told["undefined"]) == (0.5, [])


def test_benign_pictures_alone_define_specificity_and_accuracy() -> None:
    told = evaluate_defined(
        predictions_of(malignant=(), benign=(0.6, 0.2, 0.1, 0.3)), threshold=0.5
    )
    assert told["metrics"] == {
        "recall": None,
        "specificity": 0.75,
        "precision": None,
        "f1": None,
        "accuracy": 0.75,
        "auc": None,
    }
    bounds = wilson_interval(3, 4)
    assert told["intervals"] == {"specificity": bounds, "accuracy": bounds}
    assert told["undefined"] == ["recall", "precision", "f1", "auc"]


def test_malignant_pictures_alone_define_recall_and_accuracy() -> None:
    told = evaluate_defined(predictions_of(malignant=(0.6, 0.2), benign=()), threshold=0.5)
    defined = {name: value for name, value in told["metrics"].items() if value is not None}
    assert defined == {"recall": 0.5, "accuracy": 0.5}
    assert told["confusion"]["false_negative"] == 1


@pytest.mark.parametrize(
    ("benign", "malignant", "sentence"),
    [
        (3, 2, None),
        (3, 0, "recall, precision, F1 and AUC are undefined without malignant images"),
        (0, 2, "specificity, precision, F1 and AUC are undefined without benign images"),
    ],
)
def test_what_is_undefined_is_told_with_its_reason(
    benign: int, malignant: int, sentence: str | None
) -> None:
    assert explain_undefined(benign=benign, malignant=malignant) == sentence
    assert bool(undefined_metrics(benign=benign, malignant=malignant)) == (sentence is not None)


def test_precision_without_a_positive_call_is_none_everywhere() -> None:
    told = json.loads(json.dumps(evaluate_defined(BOTH, threshold=0.99), allow_nan=False))
    assert (told["metrics"]["precision"], told["metrics"]["f1"]) == (None, 0.0)
    assert told["undefined"] == ["precision"]
    assert "precision" not in told["intervals"]
    assert told["classification_report"]["malignant"]["precision"] is None
    assert told["classification_report"]["benign"]["precision"] is not None


def test_an_undefined_share_is_shown_as_a_dash() -> None:
    assert [format_share(None), format_share(0.5), format_share(0.5, sign="+")] == [
        "-",
        "0.5000",
        "+0.5000",
    ]


def test_predictions_without_some_pictures_keep_the_others_in_order() -> None:
    rest = without_images(BOTH, {"1.png", "3.png"})
    assert rest.image_ids == ("0.png", "2.png", "4.png")
    assert np.array_equal(rest.labels, [True, False, False])
    assert np.array_equal(rest.scores, [0.9, 0.6, 0.1])


def evaluate(*leaked: str) -> dict[str, Any]:
    dataset = {"name": "set"}
    return evaluate_sides(
        {"test": BOTH}, operating_point=POINT, dataset=dataset, leaked_test=leaked
    )


def test_a_test_side_with_leaked_copies_is_measured_without_them_too() -> None:
    sides = evaluate("0.png", "4.png")["sides"]
    assert sides["test"] == evaluate()["sides"]["test"]
    rest = sides[WITHOUT_LEAKED]
    assert (rest["images"], rest["malignant"], rest["benign"]) == (3, 1, 2)
    assert rest["at_half"]["metrics"]["recall"] == 0.0
    assert rest["at_operating_point"]["metrics"]["recall"] == 1.0


def test_a_test_side_without_leaked_copies_has_one_row() -> None:
    assert list(evaluate()["sides"]) == ["test"]


def test_a_rest_of_one_class_is_measured_as_far_as_it_goes() -> None:
    rest = evaluate("0.png", "1.png")["sides"][WITHOUT_LEAKED]
    assert rest["at_half"]["undefined"] == ["recall", "precision", "f1", "auc"]


def test_nothing_is_said_of_a_test_side_that_leaks_whole() -> None:
    assert list(evaluate(*BOTH.image_ids)["sides"]) == ["test"]
