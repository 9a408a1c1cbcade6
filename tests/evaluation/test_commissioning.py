"""A clinic's point and correction: no lesion judges what it chose, and probabilities come right."""

from pathlib import Path

import numpy as np
import pytest

from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.commission import Commission, commission, split_lesions
from edge_melanoma.evaluation.predictions import PredictionSet, make_prediction_set
from edge_melanoma.evaluation.promises import Demand
from edge_melanoma.tflite.quantization import sigmoid


def clinic(lesions: int = 300, *, pictures: int = 1) -> tuple[list[LesionRecord], PredictionSet]:
    """Labels drawn by true probabilities; the scores tell twice the logit, and 2 too much."""
    random = np.random.default_rng(5)
    logits = random.normal(-1.0, 1.5, lesions)
    labels = random.random(lesions) < sigmoid(logits)
    numbers = np.repeat(np.arange(lesions), pictures)
    records = [
        LesionRecord(
            image_id=f"{place}.png",
            path=Path(f"{place}.png"),
            is_malignant=bool(labels[number]),
            lesion_id=f"lesion {number}",
            dataset="clinic",
        )
        for place, number in enumerate(numbers)
    ]
    return records, make_prediction_set(records, sigmoid(2 * logits + 2)[numbers])


def commissioned(demand: Demand | None = None) -> Commission:
    records, scores = clinic()
    return commission(scores, records, shipped=0.99, min_recall=None, demand=demand)


def test_no_lesion_stands_in_both_halves_and_both_have_half_of_each_class() -> None:
    _, scores = clinic(120, pictures=3)
    first = split_lesions(scores)
    lesions = np.array([origin.lesion for origin in scores.origins])
    assert not set(lesions[first]) & set(lesions[~first])
    for label in (True, False):
        halves = [len(set(lesions[half & (scores.labels == label)])) for half in (first, ~first)]
        assert abs(halves[0] - halves[1]) <= 1


def test_the_correction_undoes_what_is_wrong_with_the_scores() -> None:
    found = commissioned()
    assert found.correction.temperature == pytest.approx(2, rel=0.35)
    assert found.correction.offset == pytest.approx(-1, abs=0.5)
    shipped = found.told["shipped"]["calibration"]["ece"]
    judged = found.told["judged"]["calibration"]["ece"]
    assert shipped > 0.15 > 0.08 > judged


def test_the_recall_that_was_asked_for_is_met_on_lesions_that_did_not_choose() -> None:
    judged = commissioned().told["judged"]
    assert judged["recall_target"] == 0.95
    assert judged["recall_interval"][1] >= 0.95
    assert judged["recall_target_met"] is True


def test_each_source_is_told_as_shipped_and_as_chosen_here() -> None:
    told = commissioned().told
    inside = told["within_source"]["clinic"]
    assert inside["shipped"]["recall"] < inside["local"]["recall"]
    assert told["local"]["metrics"]["recall"] == inside["local"]["recall"]


def test_a_clinic_hears_how_many_more_melanomas_a_promise_needs() -> None:
    told = commissioned(Demand(max_miss=0.01)).told["promise"]
    found = told["melanomas"]
    assert (told["max_miss"], found["wrong"], found["promised"]) == (0.01, 0, False)
    assert found["lesions"] + found["more_needed"] == 299


def test_three_answers_are_chosen_where_they_are_asked_for() -> None:
    assert commissioned(Demand(max_miss=0.1)).point.promise is not None
    assert commissioned().point.promise is None


def test_too_few_lesions_are_told() -> None:
    records, scores = clinic(30)
    with pytest.raises(EdgeMelanomaError, match="malignant lesions; a commission needs at least"):
        commission(scores, records, shipped=0.5, min_recall=None, demand=None)
