"""Tests and bounds for two shares on the same pictures, from the numbers of pictures that flipped.

`lost` counts what only the reference gets right, `gained` what only the candidate does. And what
a number of pictures can prove: the smallest margin that could pass, and how many a margin needs.
"""

import math
from typing import Any

ONE_SIDED_95 = 1.6448536269514722
TWO_SIDED_95 = 1.959963984540054
POWER_80 = 0.8416212335729143
"""Quantiles of the standard normal distribution."""


def exact_mcnemar(worse: int, better: int) -> float:
    """Two-sided p of McNemar's exact test: are as many pictures decided worse as better?"""
    from scipy.stats import binomtest

    if worse + better == 0:
        return 1.0
    return float(binomtest(worse, worse + better).pvalue)


def noninferiority_p(*, lost: float, gained: float, pairs: float, margin: float) -> float:
    """One-sided p of "the share drops by `margin` or more"; below 0.05 the candidate is no worse.

    Tango's score test for paired shares (Statistics in Medicine 17, 1998). `margin` is in 0..1.
    """
    return 0.5 * math.erfc(-_statistic(lost, gained, pairs, margin) / math.sqrt(2))


def score_upper_bound(
    *, lost: float, gained: float, pairs: float, quantile: float = ONE_SIDED_95
) -> float:
    """The smallest margin that `noninferiority_p` holds below 0.05: its 95 % upper bound.

    With nothing flipped it is z^2 / (pairs + z^2), 2.6 points of 100 pictures.
    """
    from scipy.optimize import brentq

    drop = (lost - gained) / pairs
    if drop >= 1:
        return 1.0

    def excess(margin: float) -> float:
        return _statistic(lost, gained, pairs, margin) + quantile

    # At the drop itself the statistic is 0, towards 1 it falls below every quantile.
    return float(brentq(excess, drop + 1e-12, 1 - 1e-12, xtol=1e-12))


def score_interval(*, lost: float, gained: float, pairs: float) -> tuple[float, float]:
    """Tango's two-sided 95 % interval of the drop: the lower end is that of a gain, mirrored."""
    high = score_upper_bound(lost=lost, gained=gained, pairs=pairs, quantile=TWO_SIDED_95)
    low = -score_upper_bound(lost=gained, gained=lost, pairs=pairs, quantile=TWO_SIDED_95)
    return low, high


def pairs_without_flips(margin: float) -> int | None:
    """How many pairs exclude a drop of `margin` when nothing flips; none for a margin of 0."""
    return pairs_needed(margin=margin, discordance=0.0) if 0 < margin < 1 else None


def pairs_that_tell(limit: float, *, lost: float, gained: float, pairs: float) -> int | None:
    """How many pairs put `limit` outside the interval of the drop, flipping at the same rates."""
    shares = lost / pairs, gained / pairs
    return _enough(_null_variance(*shares, limit), shares[0] - shares[1] - limit)


def trials_that_tell(limit: float, share: float) -> int | None:
    """How many trials put `limit` outside Wilson's 95 % interval of the same share."""
    return _enough(limit * (1 - limit), share - limit)


def _enough(variance: float, distance: float) -> int | None:
    """Where a distance is 1.96 standard errors; none where there is no distance."""
    if abs(distance) < 1e-9:
        return None
    # The small number keeps an exact count from being raised by its last bit.
    return math.ceil(variance * (TWO_SIDED_95 / distance) ** 2 - 1e-9)


def pairs_needed(*, margin: float, discordance: float, power: bool = False) -> int:
    """How many pairs show a drop below `margin` when as many are gained as lost.

    `discordance` is the share of pairs that flip. Without `power` the observed drop must be zero;
    with it, it varies by chance and the margin is shown four times in five.
    """
    # Tango's null variance depends on shares alone, so that the number of pairs follows from it.
    null = _null_variance(discordance / 2, discordance / 2, margin)
    root = ONE_SIDED_95 * math.sqrt(null)
    if power:
        root += POWER_80 * math.sqrt(discordance)
    return math.ceil((root / margin) ** 2 - 1e-9)  # as above


def _statistic(lost: float, gained: float, pairs: float, margin: float) -> float:
    """Standard errors by which the drop lies above `margin`, the error being that at `margin`."""
    variance = _null_variance(lost / pairs, gained / pairs, margin)
    distance = (lost - gained) / pairs - margin
    if variance <= 0:
        return math.copysign(math.inf, distance) if distance else 0.0
    return distance / math.sqrt(variance / pairs)


def _null_variance(lost: float, gained: float, margin: float) -> float:
    """Variance of one pair's difference under a drop of `margin`, all else most likely.

    `lost` and `gained` are shares of the pairs.
    """
    linear = -lost - gained + (2.0 - lost + gained) * margin
    constant = -gained * margin * (1 - margin)
    root = math.sqrt(max(0.0, linear**2 - 8.0 * constant))
    return 2 * ((root - linear) / 4.0) + margin * (1 - margin)


def proof_limits(*, lost: int, gained: int, pairs: int, margin: float) -> dict[str, Any]:
    """What pictures can prove of a share, for parity.json: recall has the malignant ones for pairs.

    `margin` is the drop to be excluded. No candidate passes a smaller one than that which flips
    nothing; at the discordance, it flips as many as this one, half of them for the better.
    """
    flipped = lost + gained
    share, half = flipped / pairs, flipped / 2
    return {
        "pairs": pairs,
        "discordance": share,
        "smallest_margin_without_flips": score_upper_bound(lost=0, gained=0, pairs=pairs),
        "smallest_margin_at_discordance": score_upper_bound(lost=half, gained=half, pairs=pairs),
        "margin": margin,
        "needed_without_flips": pairs_needed(margin=margin, discordance=0.0),
        "needed_at_discordance": pairs_needed(margin=margin, discordance=share),
        "needed_for_80_percent_power": pairs_needed(margin=margin, discordance=share, power=True),
    }
