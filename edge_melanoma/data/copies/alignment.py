"""Where one picture lies in another: a window fitted by Gauss-Newton steps, many pairs at once."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.copies.candidates import TURNS, WINDOWS, Floats, begins, ends_of, turn_image
from edge_melanoma.data.screening import THUMBNAIL_SIZE
from edge_melanoma.machine.rows import Rows, RowsOnDisk

PAIR = np.dtype(
    [
        *((name, np.int64) for name in ("first", "second", "turn")),
        *((name, np.float32, 2) for name in ("centre", "extent")),
        *((name, np.float32) for name in ("match", "overlap")),
    ]
)
"""Where picture `second`, turned, lies in picture `first`: the window's centre and extent (x, y) in
shares of the frame. `match` is the correlation of brightness inside both frames, `overlap` the
share of `second` that lies inside `first`."""

COARSE_STEPS = 4
FINE_STEPS = 5
LEAST_COARSE_MATCH = 0.93
_CHUNK = 1024
_DAMPING = 0.02


def shrink_greys(thumbnails: Rows) -> tuple[RowsOnDisk, ...]:
    """Mean of the channels of thumbnails (n, 48, 48, 3), on disk.

    In three sizes: whole (n, 48, 48), halved (n, 24, 24), and halved again.
    """
    sides = (THUMBNAIL_SIZE, THUMBNAIL_SIZE // 2, THUMBNAIL_SIZE // 4)
    greys = tuple(RowsOnDisk((np.uint8, (side, side))) for side in sides)
    for start in range(0, len(thumbnails), _CHUNK):
        grey = thumbnails[start : start + _CHUNK].mean(axis=3).astype(np.uint8)
        for rows in greys:
            rows.append(grey)
            blocks = grey.reshape(len(grey), grey.shape[1] // 2, 2, grey.shape[2] // 2, 2)
            grey = blocks.mean(axis=(2, 4)).round().astype(np.uint8)
    return greys


def align_guesses(greys: Sequence[Rows], guesses: NDArray[Any]) -> NDArray[Any]:
    """Fit rows of `GUESS`, first on small pictures, and keep the `PAIR` that matches best of each.

    Pairs that do not match on small pictures are dropped.
    """
    windows = np.array(WINDOWS, dtype=np.float32)[guesses["window"]]
    before, after = windows[:, :2], windows[:, 2:]
    pairs = np.zeros(len(guesses), PAIR)
    for name in ("first", "second", "turn"):
        pairs[name] = guesses[name]
    pairs["centre"], pairs["extent"] = (before - after) / 2, 1 - before - after
    whole, half, quarter = greys
    _fit(half, quarter, pairs, steps=COARSE_STEPS)
    pairs = pairs[pairs["match"] >= LEAST_COARSE_MATCH]
    _fit(whole, half, pairs, steps=FINE_STEPS)
    low, high = ends_of(pairs)
    order = np.lexsort((-pairs["match"], high, low))
    return pairs[order[begins(low[order], high[order])]]


def _fit(images: Rows, halves: Rows, pairs: NDArray[Any], *, steps: int) -> None:
    """Fit the second picture of each pair, by half its size, within the first, in place."""

    def fit_from(start: int) -> None:
        chunk = pairs[start : start + _CHUNK]
        second = _turned(halves[chunk["second"]], chunk["turn"])
        _fit_chunk(images[chunk["first"]].astype(np.float32), second, chunk, steps=steps)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(fit_from, range(0, len(pairs), _CHUNK)))


def _turned(images: NDArray[np.uint8], turns: NDArray[np.int64]) -> Floats:
    turned = np.empty(images.shape, dtype=np.float32)
    for turn in TURNS:
        chosen = turns == turn
        turned[chosen] = turn_image(images[chosen][..., None], turn)[..., 0]
    return turned


def _fit_chunk(first: Floats, second: Floats, pairs: NDArray[Any], *, steps: int) -> None:
    size = second.shape[1]
    grid = ((np.arange(size) + 0.5) / size - 0.5).astype(np.float32)
    centre, extent = pairs["centre"], pairs["extent"]
    for _ in range(steps):
        seen, inside = _sample(first, centre, extent, grid)
        step = _gauss_newton_step(seen, second, inside, grid).clip(-0.1, 0.1)
        centre = centre + extent * step[:, :2]
        extent = (extent * (1 + step[:, 2:])).clip(0.3, 1.6)
    seen, inside = _sample(first, centre, extent, grid)
    left, right = _standardise(seen, inside), _standardise(second, inside)
    overlap = inside.mean(axis=(1, 2))
    pairs["centre"], pairs["extent"], pairs["overlap"] = centre, extent, overlap
    pairs["match"] = (left * right * inside).mean(axis=(1, 2)) / np.maximum(overlap, 1e-6)


def _sample(images: Floats, centre: Floats, extent: Floats, grid: Floats) -> tuple[Floats, Floats]:
    """The window of each image on a grid, and 1 where it lies inside the image, else 0."""
    _, height, width = images.shape
    x = (centre[:, :1] + extent[:, :1] * grid + 0.5) * width - 0.5
    y = (centre[:, 1:] + extent[:, 1:] * grid + 0.5) * height - 0.5
    inside = _within(y, height)[:, :, None] * _within(x, width)[:, None, :]
    turned = np.ascontiguousarray(_rows_at(images, y).swapaxes(1, 2))
    return np.ascontiguousarray(_rows_at(turned, x).swapaxes(1, 2)), inside


def _within(positions: Floats, length: int) -> Floats:
    return ((positions >= -0.5) & (positions <= length - 0.5)).astype(np.float32)


def _rows_at(images: Floats, positions: Floats) -> Floats:
    """Rows (n, k, width) at positions (n, k) between those of images (n, height, width).

    Whole rows, since numpy copies what lies side by side faster than single pixels.
    """
    held = np.clip(positions, 0, images.shape[1] - 1.001)
    low = held.astype(np.int64)
    share = np.asarray(held - low, dtype=np.float32)[:, :, None]
    picture = np.arange(len(images))[:, None]
    return images[picture, low] * (1 - share) + images[picture, low + 1] * share


def _standardise(images: Floats, inside: Floats) -> Floats:
    weight = np.maximum(inside.sum(axis=(1, 2), keepdims=True), 1)
    centred = images - (images * inside).sum(axis=(1, 2), keepdims=True) / weight
    deviation = np.sqrt((centred**2 * inside).sum(axis=(1, 2), keepdims=True) / weight)
    return np.asarray(centred / np.maximum(deviation, 0.5), dtype=np.float32)


def _gauss_newton_step(seen: Floats, second: Floats, inside: Floats, grid: Floats) -> Floats:
    """Shift in x and y and stretch in x and y (n, 4), in shares of the window."""
    left, right = _standardise(seen, inside), _standardise(second, inside)
    size = len(grid)
    middle = (left + right) / 2
    down, across = np.gradient(middle, axis=(1, 2))
    across, down = across * inside * size, down * inside * size
    fields = [across, down, across * grid[None, None, :], down * grid[None, :, None]]
    slopes = np.stack(fields, axis=1).reshape(len(seen), 4, -1)
    normal = slopes @ slopes.swapaxes(1, 2)
    damping = _DAMPING * np.trace(normal, axis1=1, axis2=2)[:, None, None] / 4 + 1e-6
    error = (right - left).reshape(len(seen), -1, 1)
    steps = np.linalg.solve(normal + damping * np.eye(4, dtype=np.float32), slopes @ error)
    return np.asarray(steps[:, :, 0], dtype=np.float32)
