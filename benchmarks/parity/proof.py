"""What a number of pictures can prove: the smallest margin of a drop that could pass, and how many
pictures a given margin needs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_melanoma.benchmarks.parity.paired_tests import pairs_needed, score_upper_bound


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofLimits:
    """Of one share: recall has malignant pictures for pairs, accuracy has all of them.

    `lost` and `gained` are those that flipped, `margin` the drop that is to be excluded.
    """

    lost: int
    gained: int
    pairs: int
    margin: float

    @property
    def discordance(self) -> float:
        """The share of pairs that flipped."""
        return (self.lost + self.gained) / self.pairs

    @property
    def smallest_without_flips(self) -> float:
        """The margin that a candidate passes which flips nothing: no candidate passes a smaller."""
        return score_upper_bound(lost=0, gained=0, pairs=self.pairs)

    @property
    def smallest_at_discordance(self) -> float:
        """The margin that a candidate passes which flips as many, half of them for the better."""
        half = (self.lost + self.gained) / 2
        return score_upper_bound(lost=half, gained=half, pairs=self.pairs)

    def as_dict(self) -> dict[str, Any]:
        """For parity.json."""
        share = self.discordance
        return {
            "pairs": self.pairs,
            "discordance": share,
            "smallest_margin_without_flips": self.smallest_without_flips,
            "smallest_margin_at_discordance": self.smallest_at_discordance,
            "margin": self.margin,
            "needed_without_flips": pairs_needed(margin=self.margin, discordance=0.0),
            "needed_at_discordance": pairs_needed(margin=self.margin, discordance=share),
            "needed_for_80_percent_power": pairs_needed(
                margin=self.margin, discordance=share, power=True
            ),
        }


def describe_limits(limits: Mapping[str, Any], *, what: str, pictures: str) -> str:
    """The figures of `ProofLimits.as_dict` in words, such as for "recall"."""
    least = f"{limits['smallest_margin_without_flips']:.2%}"
    margin, share = f"{limits['margin']:.2%}", limits["discordance"]
    told = (
        f"{limits['pairs']:,} {pictures} cannot exclude a {what} drop below {least}, even if "
        f"nothing flips"
    )
    needed = f"To exclude {margin} takes {limits['needed_without_flips']:,} without flips"
    if not share:
        return f"{told}. {needed}."
    return (
        f"{told}, nor one below {limits['smallest_margin_at_discordance']:.2%} if {share:.2%} of "
        f"them flip, for better and worse alike. {needed}, {limits['needed_at_discordance']:,} at "
        f"this rate of flips, and {limits['needed_for_80_percent_power']:,} to succeed four times "
        f"in five."
    )
