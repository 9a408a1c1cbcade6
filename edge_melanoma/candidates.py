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
    # Any crop of up to a quarter a side lies near one of these.
    *itertools.product((0.06, 0.19), (0.06, 0.19), (0.06, 0.19), (0.06, 0.19)),
)
NEIGHBOURS = 6
FEATURES = 16
APPROXIMATION = 0.5
LARGEST_DISTANCE = 250.0
"""Farthest that a copy was seen in 480 synthetic ones: 238."""
LEAST_AGREEMENT = 0.75
_CHUNK = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Pairs: picture `first` seen through a window is much like picture `second` turned.

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
    """Pairs of pictures (n, 48, 48, 3) that may show the same, the best guess for each pair.

    The work grows as n log n: 18 look-ups a picture, 6 neighbours each.
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
    kept = agreement.max(axis=1) >= LEAST_AGREEMENT
    return Candidates(
        first=pairs[kept, 0],
        second=pairs[kept, 1],
        window=np.full(kept.sum(), window),
        turn=agreement[kept].argmax(axis=1),
        agreement=agreement[kept].max(axis=1),
    )


def _best_guesses(found: list[Candidates]) -> Candidates:
    """Of all guesses for two pictures, whichever is the larger, the one that agrees most."""
    columns = {
        name: np.concatenate([getattr(part, name) for part in found])
        for name in Candidates.__dataclass_fields__
    }
    low = np.minimum(columns["first"], columns["second"])
    high = np.maximum(columns["first"], columns["second"])
    order = np.lexsort((-columns["agreement"], high, low))
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = (np.diff(low[order]) != 0) | (np.diff(high[order]) != 0)
    return Candidates(**{name: column[order][fresh] for name, column in columns.items()})
