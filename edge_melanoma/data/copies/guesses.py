"""Guesses that two pictures show the same, sorted out pair by pair and part by part."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.copies.layouts import Floats
from edge_melanoma.machine.rows_on_disk import RowsOnDisk

LEAST_AGREEMENT = 0.75
LEAST_RIVAL = 0.93
LARGEST_LAG = 0.04
GUESSES = 3
"""A pair of nearly symmetric lesions may agree best when turned wrongly: the next guesses, if they
are as good, are tried too."""
_LEAST_SPAN = 1024
_MOST_PARTS = 256
"""Each has an open file."""

_ROW = np.dtype(
    [
        ("first", np.int64),
        ("second", np.int64),
        ("window", np.int64),
        ("turn", np.int64),
        ("agreement", np.float32),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Guesses: picture `first` seen through a window is much like picture `second` turned.

    All are arrays of one length; `window` holds positions in
    `candidates.WINDOWS`, `agreement` cosines.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    window: NDArray[np.int64]
    turn: NDArray[np.int64]
    agreement: Floats

    def __len__(self) -> int:
        return len(self.first)


class Guesses:
    """Guesses in parts, each with all guesses of its pairs; they lie on disk until then."""

    def __init__(self, pictures: int) -> None:
        self._span = max(_LEAST_SPAN, -(-pictures // _MOST_PARTS))
        self._parts = [RowsOnDisk(_ROW) for _ in range(0, pictures, self._span)]

    def add(self, found: Candidates) -> None:
        """Put guesses where those of the same pair are: by the smaller number of the two."""
        part = np.minimum(found.first, found.second) // self._span
        rows = _as_rows(found)
        for number in np.unique(part):
            self._parts[number].append(rows[part == number])

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[Candidates]:
        for part in self._parts:
            yield _best_guesses(_as_candidates(part[:]))


def plausible(agreement: Floats, best: Floats) -> NDArray[np.bool_]:
    """The best guess if it agrees enough, and others that agree well and nearly as much."""
    rival = (agreement >= LEAST_RIVAL) & (agreement >= best - LARGEST_LAG)
    return np.asarray(rival | ((agreement == best) & (agreement >= LEAST_AGREEMENT)))


def _as_rows(found: Candidates) -> NDArray[Any]:
    rows = np.empty(len(found), _ROW)
    for name in _ROW.fields or ():
        rows[name] = getattr(found, name)
    return rows


def _as_candidates(rows: NDArray[Any]) -> Candidates:
    return Candidates(**{name: rows[name] for name in Candidates.__dataclass_fields__})


def _best_guesses(found: Candidates) -> Candidates:
    """For two pictures, whichever is the larger, the guess that agrees most and its rivals."""
    columns = {name: getattr(found, name) for name in Candidates.__dataclass_fields__}
    low = np.minimum(columns["first"], columns["second"])
    high = np.maximum(columns["first"], columns["second"])
    agreement = columns["agreement"]
    view = columns["turn"] + 8 * (columns["first"] == low)
    order = np.lexsort((columns["window"], -agreement, view, high, low))
    order = order[_begins(low[order], high[order], view[order])]
    order = order[np.lexsort((-agreement[order], high[order], low[order]))]
    begins = _begins(low[order], high[order])
    starts = np.flatnonzero(begins)
    rank = np.arange(len(order)) - np.repeat(starts, np.diff([*starts, len(order)]))
    best = np.repeat(agreement[order[starts]], np.diff([*starts, len(order)]))
    kept = order[plausible(agreement[order], best) & (rank < GUESSES)]
    return Candidates(**{name: column[kept] for name, column in columns.items()})


def _begins(*keys: NDArray[np.int64]) -> NDArray[np.bool_]:
    """True where a row of sorted keys differs from the row before."""
    fresh = np.ones(len(keys[0]), dtype=bool)
    fresh[1:] = np.any([np.diff(key) != 0 for key in keys], axis=0)
    return fresh
