"""Pairs of pictures that may be copies of one another, found by an index instead of all pairs.

Each picture is looked up whole and as windows of itself among the others whole: a k-d tree over
features that no turn changes. Of what the tree gives, the pairs whose coarse layouts agree remain.
"""

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.layouts import (
    WHOLE,
    Floats,
    Window,
    layout_waves,
    shapes_of,
    turned_shapes,
    turnless_features,
)
from edge_melanoma.progress import Reporter

WINDOWS: tuple[Window, ...] = (
    WHOLE,
    (0.125, 0.0, 0.125, 0.0),  # the middle square of a 4:3 photograph
    (0.0, 0.0, 0.15, 0.15),  # crops that keep a corner, which the grid below finds badly
    (0.15, 0.15, 0.0, 0.0),
    (0.0, 0.15, 0.15, 0.0),
    (0.15, 0.0, 0.0, 0.15),
    # Any other crop of up to a quarter a side lies near one of these.
    *itertools.product((0.06, 0.19), (0.06, 0.19), (0.06, 0.19), (0.06, 0.19)),
)
NEIGHBOURS = 6
FEATURES = 16
APPROXIMATION = 0.5
LARGEST_DISTANCE = 250.0
"""Farthest that a copy was seen in 480 synthetic ones: 238."""
LEAST_AGREEMENT = 0.75
LEAST_RIVAL = 0.93
LARGEST_LAG = 0.04
GUESSES = 3
"""A pair of nearly symmetric lesions may agree best when turned wrongly: the next guesses, if they
are as good, are tried too."""
_CHUNK = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Guesses: picture `first` seen through a window is much like picture `second` turned.

    All are arrays of one length; `window` holds positions in WINDOWS, `agreement` cosines.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    window: NDArray[np.int64]
    turn: NDArray[np.int64]
    agreement: Floats

    def __len__(self) -> int:
        return len(self.first)


def find_candidates(thumbnails: NDArray[np.uint8], *, reporter: Reporter) -> Candidates:
    """Pairs of pictures (n, 48, 48, 3) that may show the same, with up to three guesses each.

    The work grows as n log n: 22 look-ups a picture, 6 neighbours each.
    """
    from scipy.spatial import cKDTree

    waves = layout_waves(thumbnails, WHOLE)
    features = turnless_features(waves)
    centre = features.mean(axis=0)
    sample = features[:: max(1, len(features) // 3000)] - centre
    axes = np.linalg.svd(sample, full_matrices=False)[2][:FEATURES].T
    tree = cKDTree((features - centre) @ axes)
    turned = turned_shapes(waves)
    found = []
    for number, window in reporter.track(
        enumerate(WINDOWS), label="Comparing images", total=len(WINDOWS)
    ):
        seen = layout_waves(thumbnails, window)
        _, neighbours = tree.query(
            (turnless_features(seen) - centre) @ axes,
            k=range(1, min(NEIGHBOURS, len(thumbnails)) + 1),
            eps=APPROXIMATION,
            distance_upper_bound=LARGEST_DISTANCE,
            workers=-1,
        )
        found.append(_agreeing(_pairs_of(np.asarray(neighbours)), number, shapes_of(seen), turned))
    return _best_guesses(found)


def _pairs_of(neighbours: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows (first, second); the tree marks a missing neighbour by the number of pictures."""
    count = len(neighbours)
    first = np.repeat(np.arange(count), neighbours.shape[1])
    second = neighbours.ravel()
    kept = (second < count) & (second != first)
    return np.stack([first[kept], second[kept]], axis=1)


def _agreeing(pairs: NDArray[np.int64], window: int, seen: Floats, turned: Floats) -> Candidates:
    def cosines(start: int) -> Floats:
        first, second = pairs[start : start + _CHUNK].T
        return np.asarray((turned[second] @ seen[first][:, :, None])[:, :, 0])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = pool.map(cosines, range(0, len(pairs), _CHUNK))
        agreement = np.concatenate([np.zeros((0, turned.shape[1]), np.float32), *parts])
    rows, turns = np.nonzero(_plausible(agreement, agreement.max(axis=1, keepdims=True)))
    return Candidates(
        first=pairs[rows, 0],
        second=pairs[rows, 1],
        window=np.full(len(rows), window),
        turn=turns,
        agreement=agreement[rows, turns],
    )


def _plausible(agreement: Floats, best: Floats) -> NDArray[np.bool_]:
    """The best guess if it agrees enough, and others that agree well and nearly as much."""
    rival = (agreement >= LEAST_RIVAL) & (agreement >= best - LARGEST_LAG)
    return np.asarray(rival | ((agreement == best) & (agreement >= LEAST_AGREEMENT)))


def _best_guesses(found: list[Candidates]) -> Candidates:
    """For two pictures, whichever is the larger, the guess that agrees most and its rivals."""
    columns = {
        name: np.concatenate([getattr(part, name) for part in found])
        for name in Candidates.__dataclass_fields__
    }
    low = np.minimum(columns["first"], columns["second"])
    high = np.maximum(columns["first"], columns["second"])
    agreement = columns["agreement"]
    view = columns["turn"] + 8 * (columns["first"] == low)
    order = np.lexsort((-agreement, view, high, low))
    order = order[_begins(low[order], high[order], view[order])]
    order = order[np.lexsort((-agreement[order], high[order], low[order]))]
    begins = _begins(low[order], high[order])
    starts = np.flatnonzero(begins)
    rank = np.arange(len(order)) - np.repeat(starts, np.diff([*starts, len(order)]))
    best = np.repeat(agreement[order[starts]], np.diff([*starts, len(order)]))
    kept = order[_plausible(agreement[order], best) & (rank < GUESSES)]
    return Candidates(**{name: column[kept] for name, column in columns.items()})


def _begins(*keys: NDArray[np.int64]) -> NDArray[np.bool_]:
    """True where a row of sorted keys differs from the row before."""
    fresh = np.ones(len(keys[0]), dtype=bool)
    fresh[1:] = np.any([np.diff(key) != 0 for key in keys], axis=0)
    return fresh
