"""Two thresholds keep what they promise, by bounds that are held against scipy's and by chance."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from made import joined, predictions_from
from scipy.stats import binomtest

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import Origin, PredictionSet
from edge_melanoma.evaluation.promises import (
    Demand,
    answers_of,
    choose_promise,
    decide,
    describe_promise,
    lesions_needed,
    measure_answers,
    upper_bound,
)
from edge_melanoma.evaluation.thresholds import choose_point, describe_rule, snap_to_output
from edge_melanoma.tflite.quantization import ScoreTensor, TensorQuantization

INT8 = ScoreTensor(
    name="p_malignant",
    quantization=TensorQuantization(dtype="int8", scale=1 / 256, zero_point=-128),
)


def clinic(name: str, melanomas: int, benign: int, *, missed: int = 0) -> PredictionSet:
    """Melanomas from .25 upwards, of which `missed` have 0.05; benign lesions from 0.05 to 0.75."""
    found = np.linspace(0.25, 0.99, melanomas - missed)
    mel = [*[0.05] * missed, *found.tolist()]
    return predictions_from(name, mel=mel, nv=np.linspace(0.05, 0.75, benign).tolist())


def told(validation: PredictionSet, demand: Demand) -> dict[str, Any]:
    promise: dict[str, Any] = choose_point(validation, min_recall=None, demand=demand).as_dict()
    return promise


@pytest.mark.parametrize(("wrong", "lesions"), [(0, 99), (1, 155), (7, 40), (39, 40)])
def test_the_bound_is_that_of_clopper_and_pearson(wrong: int, lesions: int) -> None:
    exact = binomtest(wrong, lesions, alternative="less").proportion_ci(0.95, method="exact")
    assert upper_bound(wrong, lesions, confidence=0.95) == pytest.approx(exact.high, abs=1e-9)


def test_three_percent_with_confidence_takes_99_lesions_without_a_miss() -> None:
    assert lesions_needed(0.03, confidence=0.95) == 99
    assert upper_bound(0, 98, confidence=0.95) > 0.03 >= upper_bound(0, 99, confidence=0.95)
    assert upper_bound(5, 5, confidence=0.95) == 1


def test_as_many_are_missed_as_the_bound_allows_and_not_one_more() -> None:
    promise = choose_promise(clinic("A", 300, 200), Demand(max_miss=0.03))
    found = promise.clinics["A"]["melanomas"]
    assert upper_bound(found["wrong"] + 1, 300, confidence=0.95) > 0.03 >= found["bound"]
    assert (found["wrong"], found["promised"], found["more_needed"]) == (3, True, 0)
    alarms = promise.clinics["A"]["benign"]
    assert upper_bound(alarms["wrong"] + 1, 200, confidence=0.95) > 0.1 >= alarms["bound"]


def test_a_clinic_with_too_few_misses_none_and_says_how_many_it_lacks() -> None:
    small = predictions_from("B", mel=[0.2, *[0.9] * 39], nv=[0.1] * 40)
    point = told(joined(clinic("A", 300, 200), small), Demand(max_miss=0.03))
    found = point["promise"]["clinics"]["B"]["melanomas"]
    assert (found["wrong"], found["promised"], found["more_needed"]) == (0, False, 59)
    assert point["threshold"] <= 0.2
    assert describe_rule(point) == (
        "at most 3 % of melanomas not flagged and 10 % of benign lesions flagged, with 95 % "
        "confidence in A; too few melanomas to promise it in B (40, 59 more needed)"
    )


def test_a_clinic_with_fewer_than_ten_melanomas_decides_nothing() -> None:
    odd = predictions_from("C", mel=[0.0] * 9, nv=[0.1] * 5)
    alone = choose_promise(clinic("A", 300, 200), Demand(max_miss=0.03))
    both = choose_promise(joined(clinic("A", 300, 200), odd), Demand(max_miss=0.03))
    assert both.lower == pytest.approx(alone.lower, abs=0.01)
    assert list(both.clinics) == ["A"]


def test_pictures_of_one_lesion_count_once_and_the_worst_of_them() -> None:
    one = clinic("A", 120, 60)
    lesions = tuple(
        Origin(source="A", lesion="same" if place < 50 else origin.lesion, diagnosis="mel")
        for place, origin in enumerate(one.origins)
    )
    promise = choose_promise(replace(one, origins=lesions), Demand(max_miss=0.03))
    assert promise.clinics["A"]["melanomas"]["lesions"] == 71
    assert promise.lower < one.scores[:50].min()


def test_separable_classes_leave_nothing_between_the_thresholds() -> None:
    apart = predictions_from("A", mel=[0.9] * 100, nv=[0.1] * 100)
    promise = choose_promise(apart, Demand(max_miss=0.03))
    assert promise.lower == promise.upper == 0.5
    assert decide(0.5, lower=0.5, upper=0.5) == "malignant"


def test_benign_pictures_at_the_top_leave_no_threshold() -> None:
    worst = predictions_from("A", mel=[0.5] * 12, nv=[0.9] * 12)
    with pytest.raises(EdgeMelanomaError, match="allow more false alarms with --max-false-alarm"):
        choose_promise(worst, Demand(max_miss=0.03))


@pytest.mark.parametrize("name", ["max_miss", "max_false_alarm", "confidence"])
def test_a_share_outside_its_range_is_refused(name: str) -> None:
    with pytest.raises(EdgeMelanomaError, match=f"--{name.replace('_', '-')} is 1.5; expected"):
        Demand(**{"max_miss": 0.03, name: 1.5})


def test_an_integer_output_decides_as_the_scores_it_was_chosen_on() -> None:
    scores = clinic("A", 300, 200)
    steps = replace(scores, scores=np.round(scores.scores * 255) / 256)
    chosen = choose_point(steps, min_recall=None, demand=Demand(max_miss=0.03))
    assert chosen.promise is not None
    before = answers_of(steps.scores, lower=chosen.promise.lower, upper=chosen.promise.upper)
    file = snap_to_output(chosen.point, INT8, chosen.promise)
    integers = INT8.quantization.quantize(steps.scores).astype(int)
    assert file.integer is not None
    assert file.upper_integer is not None
    after = (integers >= file.integer).astype(int) + (integers >= file.upper_integer)
    assert np.array_equal(before, after)
    assert set(before) == {0, 1, 2}
    ends = file.as_dict()["promise"]
    assert ends["lower"] == {"threshold": file.point.threshold, "integer": file.integer}
    assert ends["upper"]["integer"] == file.upper_integer


def test_answers_are_counted_by_class_and_promises_by_lesion() -> None:
    judged = joined(
        predictions_from("A", mel=[0.1, 0.5, 0.9, 0.9], nv=[0.1, 0.1, 0.5, 0.9]),
        predictions_from("B", bcc=[0.1]),
    )
    promise = {
        "lower": {"threshold": 0.3},
        "upper": {"threshold": 0.7},
        "max_miss": 0.03,
        "max_false_alarm": 0.5,
    }
    found = measure_answers(judged, promise)
    assert found["answers"] == {
        "malignant": {"not_flagged": 2, "refer": 1, "flagged": 2},
        "benign": {"not_flagged": 2, "refer": 1, "flagged": 1},
    }
    assert found["answered"] == 7 / 9
    inside = found["within_source"]["A"]
    assert (inside["melanomas"]["lesions"], inside["melanomas"]["wrong_share"]) == (4, 0.25)
    # Of four draws, one is missed at least but for (3/4)^4 of the time.
    assert inside["melanomas"]["broken"] == pytest.approx(1 - 0.75**4, abs=0.05)
    assert "B" not in found["within_source"]
    assert found["pooled"]["benign"]["wrong_share"] == 0.25


def test_a_promise_on_drawn_scores_is_broken_no_oftener_than_it_says() -> None:
    random, broken = np.random.default_rng(28), 0
    for _ in range(200):
        mel, nv = random.beta(4, 2, 150).tolist(), random.beta(2, 4, 150).tolist()
        chosen = choose_promise(predictions_from("A", mel=mel, nv=nv), Demand(max_miss=0.05))
        broken += float(np.mean(random.beta(4, 2, 20_000) < chosen.lower)) > 0.05
    # 5 % of 200 with three standard errors above.
    assert broken <= 10 + 3 * np.sqrt(200 * 0.05 * 0.95)


def test_clinics_that_are_all_small_count_as_one() -> None:
    few = [predictions_from(name, mel=[0.8] * 4, nv=[0.2] * 4) for name in "ABC"]
    promise = choose_promise(joined(*few), Demand(max_miss=0.03))
    assert promise.clinics[""]["melanomas"]["lesions"] == 12
    assert promise.clinics[""]["melanomas"]["more_needed"] == 87


def test_a_promise_without_clinics_names_none() -> None:
    whole = clinic("A", 120, 60)
    point = told(replace(whole, origins=()), Demand(max_miss=0.03))
    assert describe_promise(point["promise"]).endswith("with 95 % confidence")
