"""One of several equal parts of a data set, for work that is split over many machines."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from edge_melanoma.errors import EdgeMelanomaError

T = TypeVar("T")
FORM = re.compile(r"(\d{1,9})/(\d{1,9})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """The part `index` of `of` parts, counted from 1."""

    index: int
    of: int

    def take(self, items: Sequence[T]) -> tuple[T, ...]:
        """A run of neighbours in `items`; all shards together give every item once.

        Lengths differ by one at most, and there are none where there are more shards than items.
        """
        ends = [place * len(items) // self.of for place in (self.index - 1, self.index)]
        return tuple(items[slice(*ends)])

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"


WHOLE = Shard(index=1, of=1)
"""Everything: the only part of one."""


def parse_shard(word: str) -> Shard:
    """The shard that a person calls `2/8`.

    Raises:
        EdgeMelanomaError: not of this form, or not one of 1/n to n/n.
    """
    form = FORM.fullmatch(word)
    index, of = map(int, form.groups()) if form else (0, 0)
    if not 1 <= index <= of:
        raise EdgeMelanomaError(
            f"--shard {word} is no part of a whole; expected i/n with i from 1 to n, such as 1/8 "
            f"for the first of eight."
        )
    return Shard(index=index, of=of)
