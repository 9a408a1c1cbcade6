"""What a number of images can prove, in figures and in words."""

from edge_melanoma.benchmarks.parity.paired_tests import (
    ProofLimits,
    describe_limits,
    score_upper_bound,
)


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


def test_the_words_hold_the_figures() -> None:
    limits = ProofLimits(lost=1, gained=0, pairs=100, margin=0.03).as_dict()
    text = describe_limits(limits, what="recall", pictures="malignant images")
    half = score_upper_bound(lost=0.5, gained=0.5, pairs=100)
    # z^2 * 0.97 / 0.03 = 87.5.
    assert text == (
        "100 malignant images cannot exclude a recall drop below 2.63%, even if nothing flips, nor "
        f"one below {half:.2%} if 1.00% of them flip, for better and worse alike. To exclude 3.00% "
        f"takes 88 without flips, {limits['needed_at_discordance']} at this rate of flips, and "
        f"{limits['needed_for_80_percent_power']} to succeed four times in five."
    )


def test_without_flips_the_words_are_fewer() -> None:
    limits = ProofLimits(lost=0, gained=0, pairs=1000, margin=0.005).as_dict()
    assert describe_limits(limits, what="recall", pictures="malignant images") == (
        "1,000 malignant images cannot exclude a recall drop below 0.27%, even if nothing flips. "
        "To exclude 0.50% takes 539 without flips."
    )
