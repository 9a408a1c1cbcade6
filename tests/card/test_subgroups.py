"""Subgroups are as counted by hand, have reasons where nothing is said, and allow for chance."""

from typing import Any

import numpy as np
import pytest
from made import predictions_of
from scipy.stats import fisher_exact

from edge_melanoma.card.subgroups import holm_adjust, measure_subgroups
from edge_melanoma.evaluation.metrics import wilson_interval
from edge_melanoma.evaluation.predictions import PredictionSet

# At 0.5 the women's melanomas are found (2 of 2), of the men's 1 of 2; benign 1 of 2, and 1 of 1.
SEVEN = predictions_of(malignant=(0.9, 0.8, 0.7, 0.1), benign=(0.2, 0.6, 0.3))
SEXES = [{"sex": sex} for sex in ("female", "female", "male", "male", "female", "female", "male")]


def groups_of(table: dict[str, Any], attribute: str) -> dict[str, dict[str, Any]]:
    return {one["group"]: one for one in table["groups"] if one["attribute"] == attribute}


def many(*, found: int, missed: int, cleared: int, alarms: int) -> PredictionSet:
    return predictions_of(
        malignant=(0.9,) * found + (0.1,) * missed, benign=(0.1,) * cleared + (0.9,) * alarms
    )


def test_a_table_of_seven_pictures_is_as_counted_by_hand() -> None:
    table = measure_subgroups(SEVEN, SEXES, threshold=0.5)
    groups = {
        value: (group["recall"], group["specificity"], group["auc"])
        for value, group in groups_of(table, "sex").items()
    }
    assert groups == {"female": (2 / 2, 1 / 2, 4 / 4), "male": (1 / 2, 1 / 1, 1 / 2)}


def test_shares_have_wilson_intervals() -> None:
    female = groups_of(measure_subgroups(SEVEN, SEXES, threshold=0.5), "sex")["female"]
    assert female["recall_interval"] == wilson_interval(2, 2)
    assert female["specificity_interval"] == wilson_interval(1, 2)


def test_a_group_of_one_class_has_no_share_of_the_other_but_a_reason() -> None:
    traits = [{"diagnosis": "melanoma"}] * 4 + [{"diagnosis": "nevus"}] * 3
    melanoma, nevus = measure_subgroups(SEVEN, traits, threshold=0.5)["groups"]
    assert (melanoma["recall"], melanoma["specificity"], melanoma["auc"]) == (3 / 4, None, None)
    assert melanoma["undefined"] == {"specificity": "no benign images", "auc": "no benign images"}
    assert (nevus["recall"], nevus["recall_interval"], nevus["specificity"]) == (None, None, 2 / 3)
    assert nevus["undefined"] == {"recall": "no malignant images", "auc": "no malignant images"}


def test_fewer_than_ten_images_of_a_class_are_marked_and_not_tested() -> None:
    predictions = many(found=15, missed=4, cleared=19, alarms=1)
    traits = [{"hair": "seen" if n < 9 or n >= 29 else "not seen"} for n in range(39)]
    seen = groups_of(measure_subgroups(predictions, traits, threshold=0.5), "hair")["seen"]
    assert (seen["malignant"], seen["few_malignant"], seen["recall_p"]) == (9, True, None)
    assert (seen["benign"], seen["few_benign"]) == (10, False)
    assert seen["specificity_p"] == pytest.approx(fisher_exact(np.array([[9, 1], [10, 0]])).pvalue)


def test_both_values_of_an_attribute_with_two_share_one_test() -> None:
    predictions = many(found=30, missed=10, cleared=0, alarms=0)
    traits = [{"hair": "seen" if n % 4 else "not seen"} for n in range(40)]
    table = measure_subgroups(predictions, traits, threshold=0.5)
    assert table["tests"] == 1
    assert len({group["recall_p"] for group in table["groups"]}) == 1


def test_a_real_difference_is_a_finding_and_a_small_one_is_not() -> None:
    predictions = many(found=60, missed=20, cleared=40, alarms=40)
    traits = [
        # All misses are among the ruler's; hair is spread evenly over all.
        {"ruler marks": "seen" if 40 <= n < 80 else "not seen", "hair": f"{'not ' * (n % 2)}seen"}
        for n in range(160)
    ]
    table = measure_subgroups(predictions, traits, threshold=0.5)
    ruler, hair = groups_of(table, "ruler marks"), groups_of(table, "hair")
    assert ruler["seen"]["recall"] == 20 / 40
    assert ruler["seen"]["recall_p"] == pytest.approx(
        fisher_exact(np.array([[20, 20], [40, 0]])).pvalue
    )
    assert ruler["seen"]["recall_differs"]
    assert not hair["seen"]["recall_differs"]
    assert table["tests"] == 3  # no benign picture has a ruler


def test_the_unknown_are_shown_last_and_are_in_no_test() -> None:
    predictions = many(found=30, missed=10, cleared=0, alarms=0)
    traits = [{"sex": "female"}] * 12 + [{"sex": "male"}] * 13 + [{}] * 15
    groups = groups_of(measure_subgroups(predictions, traits, threshold=0.5), "sex")
    assert list(groups) == ["male", "female", "not known"]
    assert groups["not known"]["recall"] == 5 / 15
    assert groups["not known"]["recall_p"] is None
    assert groups["male"]["recall_p"] == pytest.approx(
        fisher_exact(np.array([[13, 0], [12, 0]])).pvalue
    )


def test_values_keep_their_natural_order_and_rare_ones_are_put_together() -> None:
    predictions = many(found=24, missed=0, cleared=0, alarms=0)
    bands = ["70 and over", "under 30", "50 to 69"]
    traits = [
        {"age": bands[n % 3], "site": "back" if n < 12 else "face" if n < 18 else "ear"}
        for n in range(24)
    ]
    table = measure_subgroups(predictions, traits, threshold=0.5)
    assert list(groups_of(table, "age")) == ["under 30", "50 to 69", "70 and over"]
    assert {v: g["malignant"] for v, g in groups_of(table, "site").items()} == {
        "back": 12,
        "others": 12,
    }
    assert table["absent"] == ["sex", "diagnosis"]


def test_traits_of_other_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^6 traits of 7 pictures\.$"):
        measure_subgroups(SEVEN, SEXES[:6], threshold=0.5)


def test_holm_raises_the_smallest_most_and_keeps_the_order() -> None:
    # By hand: .01 * 4, .02 * 3, .03 * 2 = .06 and not less than before, .9 * 1.
    assert holm_adjust([0.9, 0.01, 0.03, 0.02]) == pytest.approx([0.9, 0.04, 0.06, 0.06])
    assert holm_adjust([0.4, 0.6]) == pytest.approx([0.8, 0.8])
    assert holm_adjust([]) == []


def test_holm_agrees_with_statsmodels() -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p_values = np.random.default_rng(3).uniform(0, 0.2, 40)
    expected = multitest.multipletests(p_values, method="holm")[1]
    assert holm_adjust(p_values.tolist()) == pytest.approx(expected)
