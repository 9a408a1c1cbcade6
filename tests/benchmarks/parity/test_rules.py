"""Three verdicts: what an interval excludes is missed, what it cannot tell is open."""

import re
from dataclasses import replace
from functools import partial

import pytest
from made import predictions_of
from parity_reports import report_of

from edge_melanoma.benchmarks.parity.contract import RULES, ParityContract
from edge_melanoma.benchmarks.parity.paired_tests import (
    pairs_needed,
    score_interval,
    score_upper_bound,
)
from edge_melanoma.benchmarks.parity.rules import FAIL, INCONCLUSIVE, PASS, Check, Figure
from edge_melanoma.evaluation.predictions import PredictionSet

NOTHING_ASKED = ParityContract(max_recall_drop=1, max_accuracy_drop=1)


def pair_of(
    *, malignant: int, benign: int, lost: int = 0, gained: int = 0, alarms: int = 0
) -> tuple[PredictionSet, PredictionSet]:
    """Scores of two models at the threshold 0.5, with so many flips."""
    found = malignant - gained
    before = predictions_of(malignant=(0.9,) * found + (0.2,) * gained, benign=(0.1,) * benign)
    after = predictions_of(
        malignant=(0.3,) * lost + (0.9,) * (malignant - lost),
        benign=(0.8,) * alarms + (0.1,) * (benign - alarms),
    )
    return before, after


def check(contract: ParityContract, pair: tuple[PredictionSet, PredictionSet], rule: str) -> Check:
    (candidate,) = report_of(*pair, contract=contract).candidates
    return next(one for one in candidate.checks() if one.rule == rule)


def test_few_pictures_cannot_tell_two_shares_and_how_many_would_is_said() -> None:
    # 118 of 120: sqrt(.99 * .01 / n) * 1.96 is the distance of .00667 at n = 856.
    contract = replace(NOTHING_ASKED, min_agreement=0.99)
    found = check(contract, pair_of(malignant=20, benign=100, alarms=2), "min_agreement")
    assert (found.verdict, found.needed) == (INCONCLUSIVE, 856)
    assert found.sentence == (
        "120 pictures are too few to tell 98.3 % from 99 %; about 900 would do"
    )


def test_the_same_shares_on_as_many_pictures_are_missed() -> None:
    contract = replace(NOTHING_ASKED, min_agreement=0.99)
    found = check(contract, pair_of(malignant=200, benign=1000, alarms=20), "min_agreement")
    assert (found.verdict, found.needed) == (FAIL, None)
    assert found.sentence == "98.3 % equal decisions, at least 99 % required"


def test_a_drop_is_missed_only_where_its_interval_excludes_the_limit() -> None:
    # Four lost of 300 are 1.33 points, of 3,000 pictures 40: more than half a point in the latter.
    few = check(ParityContract(), pair_of(malignant=300, benign=100, lost=4), "max_recall_drop")
    many = check(ParityContract(), pair_of(malignant=3000, benign=100, lost=40), "max_recall_drop")
    assert (few.verdict, many.verdict) == (INCONCLUSIVE, FAIL)
    assert score_interval(lost=4, gained=0, pairs=300)[0] < 0.005
    assert score_interval(lost=40, gained=0, pairs=3000)[0] > 0.005
    assert few.sentence is not None
    assert few.sentence.startswith(
        "300 malignant pictures are too few to tell a drop of 1.33 from 0.5 points of recall; about"
    )
    assert many.sentence == "recall drops by 1.33 points, at most 0.5 allowed"


@pytest.mark.parametrize("flips", [{"lost": 2}, {"lost": 4, "gained": 6}, {}])
def test_a_drop_within_the_limit_is_kept_by_enough_pictures(flips: dict[str, int]) -> None:
    pair = pair_of(malignant=646, benign=200, **flips)
    (candidate,) = report_of(*pair).candidates
    assert candidate.verdict() == PASS
    assert [one.sentence for one in candidate.checks()] == [None] * 3


def test_without_a_flip_so_few_pictures_still_show_no_half_point() -> None:
    least = pairs_needed(margin=0.005, discordance=0.0)
    enough, too_few = (
        check(ParityContract(), pair_of(malignant=count, benign=100), "max_recall_drop")
        for count in (least, least - 1)
    )
    assert (enough.verdict, too_few.verdict) == (PASS, INCONCLUSIVE)
    assert too_few.needed == least == 539
    assert too_few.sentence == (
        "538 malignant pictures are too few to tell a drop of 0 from 0.5 points of recall; "
        "about 600 would do"
    )


def test_a_limit_of_no_loss_at_all_is_of_these_pictures_alone() -> None:
    contract = replace(NOTHING_ASKED, max_recall_drop=0, min_agreement=1)
    checks = [
        check(contract, pair_of(malignant=5, benign=5), rule)
        for rule in ("max_recall_drop", "min_agreement")
    ]
    assert [one.verdict for one in checks] == [PASS, PASS]


def test_a_margin_is_shown_excluded_or_open() -> None:
    pair = pair_of(malignant=200, benign=200, lost=10)
    low, _ = score_interval(lost=10, gained=0, pairs=200)
    bound = score_upper_bound(lost=10, gained=0, pairs=200)
    rule = "recall_noninferiority_margin"
    verdicts = [
        check(replace(NOTHING_ASKED, recall_noninferiority_margin=margin), pair, rule)
        for margin in (bound + 1e-6, bound, 0.06, low - 1e-6)
    ]
    assert [one.verdict for one in verdicts] == [PASS, INCONCLUSIVE, INCONCLUSIVE, FAIL]
    assert {one.measured for one in verdicts} == {bound}
    assert verdicts[2].sentence is not None
    assert verdicts[2].sentence.startswith(
        "200 malignant pictures are too few to exclude a drop of 6 points of recall; about "
    )
    assert verdicts[3].sentence == (
        f"a drop of up to {bound * 100:.3g} points of recall is possible, less than "
        f"{(low - 1e-6) * 100:.3g} required"
    )


@pytest.mark.parametrize(("lost", "verdict"), [(0, PASS), (12, INCONCLUSIVE), (60, FAIL)])
def test_the_least_recall_is_held_against_both_ends_of_its_interval(
    lost: int, verdict: str
) -> None:
    contract = replace(NOTHING_ASKED, min_recall_lower_bound=0.95)
    found = check(contract, pair_of(malignant=400, benign=100, lost=lost), "min_recall_lower_bound")
    assert found.verdict == verdict


def test_an_area_of_few_pictures_proves_nothing() -> None:
    contract = replace(NOTHING_ASKED, auc_noninferiority_margin=0.001, max_auc_drop=0.001)
    for rule in ("auc_noninferiority_margin", "max_auc_drop"):
        found = check(contract, pair_of(malignant=9, benign=30), rule)
        assert (found.verdict, found.measured) == (INCONCLUSIVE, None)
        assert found.sentence == (
            "9 malignant and 30 benign pictures are too few for an interval of an area under the "
            "ROC curve; at least 10 of each class would do"
        )
    # Equal ranks leave the doubt of one pair: sqrt(2) / 300 is more than the margin.
    equal = check(contract, pair_of(malignant=10, benign=30), "auc_noninferiority_margin")
    assert equal.verdict == INCONCLUSIVE


@pytest.mark.parametrize(
    ("rule", "value", "limit", "sentence"),
    [
        ("max_lost_malignant", 3, 2, "malignant pictures lost: 3, at most 2 allowed"),
        ("max_size_mb", 2.901, 2.9, "2.901 MB, at most 2.9 allowed"),
        ("max_p90_ms", 12.01, 12, "12.01 ms at the 90th percentile, at most 12 allowed"),
        ("max_latency_ratio", 1.501, 1.5, "1.501 times the time of Keras, at most 1.5 allowed"),
        (
            "require_full_int8",
            False,
            True,
            "the file has other tensors than integers, integers alone required",
        ),
    ],
)
def test_what_has_no_sampling_error_is_kept_or_missed(
    rule: str, value: float, limit: float, sentence: str
) -> None:
    missed = RULES[rule].check(Figure(value=value), limit)
    assert (missed.verdict, missed.sentence) == (FAIL, sentence)
    assert RULES[rule].check(Figure(value=limit), limit).verdict == PASS
    # 0.95 - 0.945 is 0.0050000000000000044 in binary.
    assert RULES[rule].check(Figure(value=limit * (1 + 1e-12)), limit).verdict == PASS


def test_what_was_not_measured_is_missed() -> None:
    found = RULES["max_p90_ms"].check(Figure(value=None), 12)
    assert (found.verdict, found.sentence) == (
        FAIL,
        "max_p90_ms was not measured, at most 12 allowed",
    )


def test_a_figure_has_as_many_digits_as_tell_it_from_the_limit() -> None:
    found = RULES["min_agreement"].check(Figure(value=0.989997), 0.99)
    assert found.sentence == "98.9997 % equal decisions, at least 99 % required"


@pytest.mark.parametrize(
    ("needed", "shown"), [(7, "7"), (539, "600"), (856, "900"), (1204, "1,300"), (26_914, "27,000")]
)
def test_numbers_of_pictures_are_rounded_up(needed: int, shown: str) -> None:
    rule, open_question = RULES["max_recall_drop"], partial(Figure, value=0.01, lenient=0.0)
    found = rule.check(open_question(pictures=5, settling=lambda _limit: needed), 0.005)
    assert (found.verdict, found.needed) == (INCONCLUSIVE, needed)
    assert re.findall("about (.*) would do", str(found.sentence)) == [shown]
