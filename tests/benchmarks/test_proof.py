"""What a number of images can prove, in figures and in words."""

import pytest

from edge_melanoma.benchmarks.paired_tests import score_upper_bound
from edge_melanoma.benchmarks.proof import ProofLimits


def test_nothing_flipping_sets_the_smallest_margin_of_all() -> None:
    limits = ProofLimits(lost=6, gained=2, pairs=766, margin=0.005)
    assert limits.smallest_without_flips == score_upper_bound(lost=0, gained=0, pairs=766)
    # Eight flips count as four against four: the drop itself is not held against the pictures.
    assert limits.smallest_at_discordance == score_upper_bound(lost=4, gained=4, pairs=766)
    assert limits.smallest_without_flips < 0.005 < limits.smallest_at_discordance


def test_the_numbers_needed_grow_with_flips_and_with_certainty() -> None:
    told = ProofLimits(lost=6, gained=2, pairs=766, margin=0.005).as_dict()
    needed = [
        told[f"needed_{case}"]
        for case in ("without_flips", "at_discordance", "for_80_percent_power")
    ]
    assert needed[0] == 539
    assert needed == sorted(needed)


@pytest.mark.parametrize("flips", [0, 1])
def test_the_words_hold_the_figures(flips: int) -> None:
    text = ProofLimits(lost=flips, gained=0, pairs=100, margin=0.03).describe(
        what="recall", pictures="malignant images"
    )
    assert text.startswith(
        "100 malignant images cannot show a recall drop below 2.63% even if nothing flips, nor "
        "below "
    )
    assert f"with {flips / 100:.2%} flipping evenly." in text
    # z^2 * 0.97 / 0.03 = 87.5.
    assert "To exclude 3.00% takes 88 without flips, " in text
