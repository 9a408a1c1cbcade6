"""Tests of paired shares: counted by hand, published, and against statsmodels and a search."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_melanoma.benchmarks.parity.paired_tests import (
    exact_mcnemar,
    noninferiority_p,
    pairs_needed,
    pairs_that_tell,
    pairs_without_flips,
    proof_limits,
    score_interval,
    score_upper_bound,
    trials_that_tell,
)


@pytest.mark.parametrize(
    ("worse", "better", "p"),
    [
        (5, 0, 2 / 2**5),
        (0, 5, 2 / 2**5),
        (3, 1, 2 * (1 + 4) / 2**4),
        (7, 2, 2 * (1 + 9 + 36) / 2**9),
        (1, 1, 1.0),
        (0, 0, 1.0),
    ],
)
def test_mcnemar_is_the_share_of_coin_throws_as_uneven(worse: int, better: int, p: float) -> None:
    # A beta function gives the binomial tail: 1e-12 is some 5,000 roundings of it.
    assert exact_mcnemar(worse, better) == pytest.approx(p, rel=1e-12)


def test_a_lost_image_raises_the_bound_and_a_gained_one_does_not_hide_it() -> None:
    none, lost, both = (
        score_upper_bound(lost=lost, gained=gained, pairs=100)
        for lost, gained in ((0, 0), (2, 0), (2, 2))
    )
    assert none < both < lost


@pytest.mark.parametrize(("worse", "better"), [(0, 3), (4, 4), (11, 2), (1, 30)])
def test_mcnemar_agrees_with_statsmodels(worse: int, better: int) -> None:
    from statsmodels.stats.contingency_tables import mcnemar

    oracle = mcnemar([[50, worse], [better, 60]], exact=True)
    # Both sum the same binomial terms, in another order.
    assert exact_mcnemar(worse, better) == pytest.approx(oracle.pvalue, rel=1e-12)


def test_without_flips_the_score_bound_is_known_in_closed_form() -> None:
    # The statistic is -sqrt(n m / (1 - m)); it is -z at m = z^2 / (n + z^2).
    bound = score_upper_bound(lost=0, gained=0, pairs=100)
    assert bound == pytest.approx(1.6448536**2 / (100 + 1.6448536**2), abs=1e-9)
    assert f"{bound:.1%}" == "2.6%"


def test_the_score_test_gives_the_published_interval() -> None:
    # Cavo et al. 2012, as the R package contingencytables has it: 161 pairs, 6 and 16 discordant,
    # Tango's 95 % interval -0.1240 to -0.0054; each end has a one-sided p of 0.025.
    upper = noninferiority_p(lost=6, gained=16, pairs=161, margin=-0.0054)
    lower = noninferiority_p(lost=16, gained=6, pairs=161, margin=0.1240)
    # Half of the last published digit moves p by 0.0002 here.
    assert upper == pytest.approx(0.025, abs=2e-4)
    assert lower == pytest.approx(0.025, abs=2e-4)


def test_the_two_sided_interval_is_the_published_one() -> None:
    # As above; the last published digit is half of 1e-4.
    assert score_interval(lost=6, gained=16, pairs=161) == pytest.approx(
        (-0.1240, -0.0054), abs=5e-5
    )


def test_so_many_pictures_would_tell_a_drop_from_its_limit() -> None:
    flips = {"lost": 4, "gained": 1}
    needed = pairs_that_tell(0.005, **flips, pairs=200)
    assert needed is not None
    assert needed > 200
    for pairs, excludes in ((needed, True), (0.98 * needed, False)):
        rates = {name: count / 200 * pairs for name, count in flips.items()}
        low, _ = score_interval(**rates, pairs=pairs)
        assert (low > 0.005) == excludes
    assert pairs_that_tell(0.015, **flips, pairs=200) is None


def test_so_many_trials_would_tell_a_share_from_its_limit() -> None:
    # 1.96^2 * .99 * .01 / (.99 - 59/60)^2 = 855.7.
    assert trials_that_tell(0.99, 59 / 60) == 856
    assert trials_that_tell(0.99, 0.99) is None


def test_without_flips_a_margin_of_nothing_is_shown_by_no_number() -> None:
    assert pairs_without_flips(0.005) == pairs_needed(margin=0.005, discordance=0.0) == 539
    assert (pairs_without_flips(0.0), pairs_without_flips(1.0)) == (None, None)


@pytest.mark.parametrize(
    ("lost", "gained", "pairs"), [(0, 0, 50), (5, 3, 766), (2, 9, 80), (7, 0, 90)]
)
def test_the_bound_is_the_margin_at_which_p_is_five_percent(
    lost: int, gained: int, pairs: int
) -> None:
    bound = score_upper_bound(lost=lost, gained=gained, pairs=pairs)
    p = noninferiority_p(lost=lost, gained=gained, pairs=pairs, margin=bound)
    # The root is found to 1e-12, and p moves by at most some 100 per unit of margin.
    assert p == pytest.approx(0.05, abs=1e-9)
    assert noninferiority_p(lost=lost, gained=gained, pairs=pairs, margin=bound + 0.001) < 0.05


def test_the_null_variance_is_that_of_the_most_likely_shares() -> None:
    # A search over all shares of "gained" finds the likelihood's peak that the formula names.
    lost, gained, pairs, margin = 5, 3, 100, 0.06
    grid = np.linspace(1e-6, 0.3, 300_000)
    peak = grid[np.argmax(_log_likelihood(grid, lost, gained, pairs, margin))]
    variance = 2 * peak + margin * (1 - margin)
    statistic = ((lost - gained) / pairs - margin) / math.sqrt(variance / pairs)
    expected = 0.5 * math.erfc(-statistic / math.sqrt(2))
    # The grid's step of 1e-6 moves p by less than 1e-5.
    found = noninferiority_p(lost=lost, gained=gained, pairs=pairs, margin=margin)
    assert found == pytest.approx(expected, abs=1e-5)


def _log_likelihood(
    gained_share: NDArray[np.float64], lost: int, gained: int, pairs: int, margin: float
) -> NDArray[np.float64]:
    lost_share = gained_share + margin
    rest = pairs - lost - gained
    total: NDArray[np.float64] = (
        lost * np.log(lost_share)
        + gained * np.log(gained_share)
        + rest * np.log(1 - lost_share - gained_share)
    )
    return total


def test_all_lost_cannot_be_bounded_and_a_gain_may_bound_below_zero() -> None:
    assert score_upper_bound(lost=3, gained=0, pairs=3) == 1.0
    assert score_upper_bound(lost=6, gained=16, pairs=161) < 0


def test_a_margin_needs_as_many_pairs_as_its_bound_says() -> None:
    # z^2 (1 - m) / m = 2.7055 * 0.995 / 0.005 = 538.4.
    assert pairs_needed(margin=0.005, discordance=0.0) == 539
    assert score_upper_bound(lost=0, gained=0, pairs=539) < 0.005
    assert score_upper_bound(lost=0, gained=0, pairs=538) > 0.005
    needed = pairs_needed(margin=0.01, discordance=0.02)
    for pairs, passes in ((needed, True), (needed - 1, False)):
        bound = score_upper_bound(lost=0.01 * pairs, gained=0.01 * pairs, pairs=pairs)
        assert (bound < 0.01) == passes


def test_the_size_for_80_percent_power_has_it() -> None:
    pairs = pairs_needed(margin=0.02, discordance=0.03, power=True)
    random = np.random.default_rng(5)
    draws = random.multinomial(pairs, [0.015, 0.015, 0.97], size=2000)
    passed = [
        noninferiority_p(lost=lost, gained=gained, pairs=pairs, margin=0.02) < 0.05
        for lost, gained, _ in draws.tolist()
    ]
    # 2,000 trials of 0.8 have a standard error of 0.009; the rest is the normal approximation.
    assert np.mean(passed) == pytest.approx(0.8, abs=0.04)


def test_the_score_test_keeps_its_level_at_the_margin() -> None:
    random = np.random.default_rng(6)
    draws = random.multinomial(766, [0.015, 0.005, 0.98], size=4000)
    passed = [
        noninferiority_p(lost=lost, gained=gained, pairs=766, margin=0.01) < 0.05
        for lost, gained, _ in draws.tolist()
    ]
    # Counts of some 15 make the level step; four standard errors of 4,000 trials are 0.014.
    assert np.mean(passed) < 0.05 + 0.014


def test_nothing_flipping_sets_the_smallest_margin_of_all() -> None:
    limits = proof_limits(lost=6, gained=2, pairs=766, margin=0.005)
    without = limits["smallest_margin_without_flips"]
    at_discordance = limits["smallest_margin_at_discordance"]
    assert without == score_upper_bound(lost=0, gained=0, pairs=766)
    # Eight flips count as four against four: the drop itself is not held against the pictures.
    assert at_discordance == score_upper_bound(lost=4, gained=4, pairs=766)
    assert without < 0.005 < at_discordance


def test_the_numbers_needed_grow_with_flips_and_with_certainty() -> None:
    told = proof_limits(lost=6, gained=2, pairs=766, margin=0.005)
    needed = [
        told[f"needed_{case}"]
        for case in ("without_flips", "at_discordance", "for_80_percent_power")
    ]
    assert needed[0] == 539
    assert needed == sorted(needed)
