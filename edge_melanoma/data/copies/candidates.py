"""Guesses that two pictures show the same, found by an index instead of comparing all pairs.

Each picture is looked up whole and as windows of itself among the others whole: a k-d tree over
features that no turn changes. Of what the tree gives, the pairs whose coarse layouts agree remain:
the colours of a window as cosine waves.

A window is (left, top, right, bottom): the shares of the frame that are cut off at each side.
Turns 0 to 3 are quarter turns, 4 to 7 the same of the mirrored picture.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.screening import THUMBNAIL_SIZE
from edge_melanoma.machine.rows import Rows, RowsOnDisk
from edge_melanoma.machine.terminal import Reporter

TURNS = range(8)
TURNED_BACK = (0, 3, 2, 1, 4, 5, 6, 7)
"""The turn that undoes each: mirrored ones undo themselves."""

WHOLE = (0.0, 0.0, 0.0, 0.0)
WAVES = 5
"""Cosine waves kept along each axis; finer ones change too much when a window is a little off."""

_CELLS = 8
_COLOURS = np.array([[1 / 3, 1 / 3, 1 / 3], [1, -1, 0], [0.5, 0.5, -1]], dtype=np.float32)
"""Brightness, red against green, yellow against blue."""
_BRIGHTNESS_FLOOR = 15.0
_LEVEL_WEIGHT = 0.5

Window = tuple[float, float, float, float]
Floats = NDArray[np.float32]

_NUMBERS = ("first", "second", "window", "turn")
GUESS = np.dtype([*((name, np.int64) for name in _NUMBERS), ("agreement", np.float32)])
"""Picture `first` seen through one of `WINDOWS` is much like picture `second` turned; `agreement`
is the cosine of their layouts."""

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
_BLOCK = 2048
"""Pictures that are looked up at once: 57 MB."""
_CHUNK = 4096
_LEAST_SPAN = 1024
_MOST_PARTS = 256
"""Each has an open file."""


def turn_image(pixels: NDArray[Any], turn: int) -> NDArray[Any]:
    """Pictures (..., height, width, channels) mirrored and turned by quarters."""
    mirrored = pixels[..., ::-1, :] if turn >= 4 else pixels
    return np.rot90(mirrored, turn % 4, axes=(-3, -2))


def layout_waves(thumbnails: Floats, window: Window) -> Floats:
    """Cosine waves (n, 3 colours, 5 down, 5 across) of a window of each thumbnail in 0..255.

    Three products of matrices a picture, none of which moves its pixels about first.
    """
    left, top, right, bottom = window
    cosines = _cosines()
    across, down = cosines @ _cells(left, right), cosines @ _cells(top, bottom)
    count, height, width, channels = thumbnails.shape
    rows = down @ thumbnails.reshape(count, height, width * channels)
    cells = across @ rows.reshape(count, WAVES, width, channels)
    return np.ascontiguousarray(np.moveaxis(cells @ _COLOURS.T, 3, 1))


def shapes_of(waves: Floats) -> Floats:
    """The waves without the mean colour, each picture to length 1 (n, 75)."""
    flat = waves.copy()
    flat[:, :, 0, 0] = 0
    flat = flat.reshape(len(waves), -1)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6))


def turned_shapes(waves: Floats) -> Floats:
    """`shapes_of` of all eight turns of each picture: (n, 8, 75)."""
    odd = np.where(np.arange(WAVES) % 2, -1, 1).astype(np.float32)
    views = []
    for view in (waves, waves * odd):
        for _ in range(4):
            views.append(shapes_of(view))
            view = view.swapaxes(2, 3) * odd[:, None]
    return np.stack(views, axis=1)


def turnless_features(waves: Floats) -> Floats:
    """Features (n, 51) that mirroring and quarter turns leave as they are.

    A mirror changes the sign of the odd cosine waves, a transposition swaps the axes. So each wave
    of brightness enters by its size, each wave of colour relative to the sign of brightness, and
    two waves that swap enter by sum and difference.
    """
    brightness = waves[:, :1]
    signs = brightness / (np.abs(brightness) + _BRIGHTNESS_FLOOR)
    features = np.concatenate([np.abs(brightness), waves[:, 1:] * signs], axis=1)
    features[:, :, 0, 0] = waves[:, :, 0, 0] * _LEVEL_WEIGHT
    columns: list[Floats] = []
    for u in range(WAVES):
        for v in range(u, min(WAVES, WAVES + 1 - u)):
            one, other = features[:, :, u, v], features[:, :, v, u]
            both = [(one + other) / np.sqrt(2), np.abs(one - other) / np.sqrt(2)]
            columns += [one] if u == v else both
    return np.concatenate(columns, axis=1, dtype=np.float32)


def _cells(before: float, after: float) -> Floats:
    """Weights (8, 48) that average a line of a thumbnail over equal cells of a window."""
    edges = np.linspace(before * THUMBNAIL_SIZE, (1 - after) * THUMBNAIL_SIZE, _CELLS + 1)
    pixels = np.arange(THUMBNAIL_SIZE)
    ends = np.minimum(edges[1:, None], pixels + 1)
    starts = np.maximum(edges[:-1, None], pixels)
    weights = np.maximum(ends - starts, 0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def _cosines() -> Floats:
    k, x = np.arange(WAVES)[:, None], np.arange(_CELLS)[None]
    scale = np.where(k == 0, np.sqrt(1 / _CELLS), np.sqrt(2 / _CELLS))
    return np.asarray(np.cos(np.pi * (x + 0.5) * k / _CELLS) * scale, dtype=np.float32)


def find_guesses(thumbnails: Rows, *, reporter: Reporter) -> list[RowsOnDisk]:
    """Rows of `GUESS` for pairs of pictures (n, 48, 48, 3) that may show the same.

    They lie on disk in parts, each with all guesses of its pairs. The work grows as n log n: 22
    look-ups a picture, 6 neighbours each.
    """
    pairs_from, shapes = _index(thumbnails)
    span = max(_LEAST_SPAN, -(-len(thumbnails) // _MOST_PARTS))
    parts = [RowsOnDisk(GUESS) for _ in range(0, len(thumbnails), span)]
    steps = ((*block, *view) for block in _blocks(thumbnails) for view in enumerate(WINDOWS))
    total = -(-len(thumbnails) // _BLOCK) * len(WINDOWS)
    for start, pictures, number, window in reporter.track(
        steps, label="Comparing images", total=total
    ):
        seen = layout_waves(pictures, window)
        pairs = pairs_from(start, turnless_features(seen))
        found = _agreeing(pairs, number, turned_shapes(seen), start, shapes)
        part = ends_of(found)[0] // span
        for place in np.unique(part):
            parts[place].append(found[part == place])
    return parts


def best_guesses(found: NDArray[Any]) -> NDArray[Any]:
    """Up to three guesses of each pair: the one that agrees most, and its rivals.

    A pair is one, whichever of its pictures is `first`.
    """
    low, high = ends_of(found)
    agreement = found["agreement"]
    view = found["turn"] + 8 * (found["first"] == low)
    order = np.lexsort((found["window"], -agreement, view, high, low))
    order = order[begins(low[order], high[order], view[order])]
    order = order[np.lexsort((-agreement[order], high[order], low[order]))]
    starts = np.flatnonzero(begins(low[order], high[order]))
    counts = np.diff([*starts, len(order)])
    rank = np.arange(len(order)) - np.repeat(starts, counts)
    best = np.repeat(agreement[order[starts]], counts)
    return found[order[_plausible(agreement[order], best) & (rank < GUESSES)]]


def ends_of(pairs: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The lower and the higher number of the two pictures of each pair."""
    first, second = pairs["first"], pairs["second"]
    return np.minimum(first, second), np.maximum(first, second)


def begins(*keys: NDArray[np.int64]) -> NDArray[np.bool_]:
    """True where a row of sorted keys differs from the row before."""
    fresh = np.ones(len(keys[0]), dtype=bool)
    fresh[1:] = np.any([np.diff(key) != 0 for key in keys], axis=0)
    return fresh


def _plausible(agreement: Floats, best: Floats) -> NDArray[np.bool_]:
    """The best guess if it agrees enough, and others that agree well and nearly as much."""
    rival = (agreement >= LEAST_RIVAL) & (agreement >= best - LARGEST_LAG)
    return np.asarray(rival | ((agreement == best) & (agreement >= LEAST_AGREEMENT)))


def _blocks(thumbnails: Rows) -> Iterator[tuple[int, Floats]]:
    """The pictures part by part, each with the number of its first."""
    for start in range(0, len(thumbnails), _BLOCK):
        yield start, thumbnails[start : start + _BLOCK].astype(np.float32)


def _index(thumbnails: Rows) -> tuple[Callable[[int, Floats], NDArray[np.int64]], Floats]:
    """What pairs pictures by features (n, 51) with the nearest ones, and the shapes (n, 75)."""
    from scipy.spatial import cKDTree

    parts = []
    for _, pictures in _blocks(thumbnails):
        waves = layout_waves(pictures, WHOLE)
        parts.append((turnless_features(waves), shapes_of(waves)))
    features, shapes = map(np.concatenate, zip(*parts, strict=True))
    centre = features.mean(axis=0)
    sample = features[:: max(1, len(features) // 3000)] - centre
    axes = np.linalg.svd(sample, full_matrices=False)[2][:FEATURES].T
    tree = cKDTree((features - centre) @ axes)

    def pairs_from(start: int, sought: Floats) -> NDArray[np.int64]:
        """Rows (first, second) for the pictures from `start` on."""
        _, nearest = tree.query(
            (sought - centre) @ axes,
            k=range(1, min(NEIGHBOURS, tree.n) + 1),
            eps=APPROXIMATION,
            distance_upper_bound=LARGEST_DISTANCE,
            workers=-1,
        )
        found = np.asarray(nearest)
        first = np.repeat(np.arange(start, start + len(found)), found.shape[1])
        second = found.ravel()
        kept = (second < tree.n) & (second != first)  # tree.n stands for a missing neighbour
        return np.stack([first[kept], second[kept]], axis=1)

    return pairs_from, shapes


def _agreeing(
    pairs: NDArray[np.int64], window: int, seen: Floats, start: int, shapes: Floats
) -> NDArray[Any]:
    """The pairs that look alike; `seen` are the turned shapes (n, 8, 75) from `start` on."""
    turned_back = seen[:, TURNED_BACK]

    def cosines(chunk: int) -> Floats:
        first, second = pairs[chunk : chunk + _CHUNK].T
        return np.asarray((turned_back[first - start] @ shapes[second][:, :, None])[:, :, 0])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = pool.map(cosines, range(0, len(pairs), _CHUNK))
        agreement = np.concatenate([np.zeros((0, len(TURNS)), np.float32), *parts])
    rows, turns = np.nonzero(_plausible(agreement, agreement.max(axis=1, keepdims=True)))
    guesses = np.empty(len(rows), GUESS)
    guesses["first"], guesses["second"] = pairs[rows].T
    guesses["window"], guesses["turn"] = window, turns
    guesses["agreement"] = agreement[rows, turns]
    return guesses
