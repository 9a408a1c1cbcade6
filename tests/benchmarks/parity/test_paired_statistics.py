"""All statistics of a candidate on twenty images that a hand can count."""

import json

import pytest
from made import predictions_of

from edge_melanoma.benchmarks.parity.comparison import compare
from edge_melanoma.benchmarks.parity.paired_tests import (
    exact_mcnemar,
    score_interval,
    score_upper_bound,
)
from edge_melanoma.benchmarks.parity.statistics import PairedStatistics, study_drops

METRICS = ["recall", "specificity", "accuracy", "auc", "partial_auc"]


@pytest.fixture(scope="module")
def statistics() -> PairedStatistics:
    """Of ten malignant images two are lost and one is gained, of ten benign one newly alarms."""
    before = predictions_of(malignant=(0.9,) * 9 + (0.4,), benign=(0.1,) * 10)
    after = predictions_of(malignant=(0.3, 0.3) + (0.9,) * 7 + (0.6,), benign=(0.7,) + (0.1,) * 9)
    return study_drops(compare(before, after, threshold=0.5))


def test_drops_are_counted_recall_first(statistics: PairedStatistics) -> None:
    assert list(statistics.drops) == METRICS
    assert statistics.drops["recall"].drop == 1 / 10
    assert statistics.drops["specificity"].drop == 1 / 10
    assert statistics.drops["accuracy"].drop == 2 / 20
    # Before, every pair is won. After, 0.7 of a benign image beats 0.3, 0.3 and 0.6: 3 of 100.
    assert statistics.drops["auc"].drop == pytest.approx(0.03, abs=1e-15)
    # 0.2 against the last fifth of recall above one of ten benign images: 0.2 * 0.9.
    assert statistics.partial_auc == pytest.approx((0.2, 0.18), abs=1e-15)
    assert statistics.drops["partial_auc"].drop == pytest.approx(0.02, abs=1e-15)


def test_each_share_is_bounded_by_its_own_flips(statistics: PairedStatistics) -> None:
    bounds = {name: drop.upper95 for name, drop in statistics.drops.items()}
    assert bounds["recall"] == score_upper_bound(lost=2, gained=1, pairs=10)
    assert bounds["specificity"] == score_upper_bound(lost=1, gained=0, pairs=10)
    assert bounds["accuracy"] == score_upper_bound(lost=3, gained=1, pairs=20)


def test_malignant_images_have_a_mcnemar_of_their_own(statistics: PairedStatistics) -> None:
    assert statistics.mcnemar_p_malignant == exact_mcnemar(2, 1) == 1.0


def test_intervals_hold_the_drop_and_wilson_the_shares(statistics: PairedStatistics) -> None:
    for drop in statistics.drops.values():
        assert drop.interval is not None
        low, high = drop.interval
        assert low <= drop.drop <= high
        assert high > low
    # Wilson of 2 in 10 by hand: (0.2 + z^2/20 -+ z sqrt(0.016 + z^2/400)) / (1 + z^2/10).
    assert statistics.shares["lost_malignant"] == pytest.approx((0.0567, 0.5098), abs=5e-5)
    assert next(iter(statistics.shares)) == "agreement"
    low, high = statistics.shares["agreement"]
    assert low < 16 / 20 < high


def test_without_a_margin_nothing_is_tested_but_the_bound_is_told(
    statistics: PairedStatistics,
) -> None:
    told = statistics.tests({})["recall"]
    assert (told["margin"], told["p"], told["shown"]) == (None, None, None)
    assert told["upper95"] == statistics.drops["recall"].upper95


@pytest.mark.parametrize("metric", METRICS)
def test_a_margin_is_passed_from_the_bound_on(statistics: PairedStatistics, metric: str) -> None:
    bound = statistics.drops[metric].upper95
    assert bound is not None
    # The bootstrap counts one resample in advance and may need a step more than its quantile.
    wide = statistics.tests({metric: bound * 1.2 + 0.001})[metric]
    narrow = statistics.tests({metric: bound * 0.9})[metric]
    assert (wide["shown"], narrow["shown"]) == (True, False)
    assert wide["p"] < 0.05 < narrow["p"]


def test_a_candidate_without_flips_still_proves_nothing_below_its_number_of_images() -> None:
    same = predictions_of(malignant=(0.9,) * 10, benign=(0.1,) * 10)
    comparison = compare(same, same, threshold=0.5)
    drop = study_drops(comparison).drops["recall"]
    assert drop.interval == score_interval(lost=0, gained=0, pairs=10)
    assert drop.upper95 == score_upper_bound(lost=0, gained=0, pairs=10) > 0.2


def test_areas_of_few_pictures_have_a_drop_and_nothing_else() -> None:
    few = predictions_of(malignant=(0.9,) * 9, benign=(0.1,) * 10)
    statistics = study_drops(compare(few, few, threshold=0.5))
    told = json.loads(json.dumps(statistics.as_dict({"auc": 0.5}), allow_nan=False))
    assert told["noninferiority"]["auc"] == {
        "drop": 0.0,
        "upper95": None,
        "method": "delong",
        "margin": 0.5,
        "p": None,
        "shown": False,
    }
    assert told["drop_intervals"]["partial_auc"] is None


def test_the_statistics_are_json(statistics: PairedStatistics) -> None:
    told = json.loads(json.dumps(statistics.as_dict({"recall": 0.5}), allow_nan=False))
    assert told["partial_auc"]["min_recall"] == 0.8
    assert list(told["drop_intervals"]) == list(told["noninferiority"]) == METRICS
    assert told["noninferiority"]["recall"]["method"] == "score"
    assert told["noninferiority"]["auc"]["method"] == "delong"
    assert len(told["share_intervals"]["new_false_alarm"]) == 2
