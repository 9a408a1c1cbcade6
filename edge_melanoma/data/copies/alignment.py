"""Where one picture lies in another: a window fitted by Gauss-Newton steps, many pairs at once."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.copies.candidates import WINDOWS, Candidates
from edge_melanoma.data.copies.layouts import TURNS, Floats, turn_image
from edge_melanoma.data.screening import THUMBNAIL_SIZE
from edge_melanoma.machine.rows import Rows, RowsOnDisk

COARSE_STEPS = 4
FINE_STEPS = 5
LEAST_COARSE_MATCH = 0.93
_CHUNK = 1024
_DAMPING = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """Per pair: the window's centre and extent (n, 2: x, y) in shares of `first`'s frame.

    `match` is the correlation of brightness inside both frames, `overlap` the share of `second`
    that lies inside `first`.
    """

    centre: Floats
    extent: Floats
    match: Floats
    overlap: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Greys:
    """Thumbnails in grey on disk: whole (n, 48, 48), halved (n, 24, 24), and halved again."""

    whole: RowsOnDisk
    half: RowsOnDisk
    quarter: RowsOnDisk


def shrink_greys(thumbnails: Rows) -> Greys:
    """Mean of the channels of thumbnails (n, 48, 48, 3), in three sizes."""
    sides = (THUMBNAIL_SIZE, THUMBNAIL_SIZE // 2, THUMBNAIL_SIZE // 4)
    whole, half, quarter = (RowsOnDisk((np.uint8, (side, side))) for side in sides)
    for start in range(0, len(thumbnails), _CHUNK):
        grey = thumbnails[start : start + _CHUNK].mean(axis=3).astype(np.uint8)
        whole.append(grey)
        half.append(halved := _halved(grey))
        quarter.append(_halved(halved))
    return Greys(whole=whole, half=half, quarter=quarter)


def align_candidates(greys: Greys, candidates: Candidates) -> tuple[Candidates, Alignment]:
    """Fit each guess, first on small pictures, and keep the one that matches best for a pair.

    Pairs that do not match on small pictures are dropped.
    """
    windows = np.array(WINDOWS, dtype=np.float32)[candidates.window]
    before, after = windows[:, :2], windows[:, 2:]
    first_guess = _Guess(
        centre=np.asarray((before - after) / 2, dtype=np.float32), extent=1 - before - after
    )
    coarse = _fit(greys.half, greys.quarter, candidates, first_guess, steps=COARSE_STEPS)
    kept = np.flatnonzero(coarse.match >= LEAST_COARSE_MATCH)
    remaining = select(candidates, kept)
    better_guess = _Guess(centre=coarse.centre[kept], extent=coarse.extent[kept])
    fine = _fit(greys.whole, greys.half, remaining, better_guess, steps=FINE_STEPS)
    best = _best_of_each_pair(remaining, fine.match)
    names = Alignment.__dataclass_fields__
    chosen = Alignment(**{name: getattr(fine, name)[best] for name in names})
    return select(remaining, best), chosen


def select(candidates: Candidates, kept: NDArray[np.int64]) -> Candidates:
    """The pairs at some positions."""
    names = Candidates.__dataclass_fields__
    return Candidates(**{name: getattr(candidates, name)[kept] for name in names})


def _best_of_each_pair(guesses: Candidates, match: Floats) -> NDArray[np.int64]:
    low = np.minimum(guesses.first, guesses.second)
    high = np.maximum(guesses.first, guesses.second)
    order = np.lexsort((-match, high, low))
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (np.diff(low[order]) != 0) | (np.diff(high[order]) != 0)
    return order[begins]


def _halved(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    count, height, width = images.shape
    blocks = images.reshape(count, height // 2, 2, width // 2, 2)
    return np.asarray(blocks.mean(axis=(2, 4)).round(), dtype=np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Guess:
    centre: Floats
    extent: Floats


def _fit(images: Rows, halves: Rows, pairs: Candidates, guess: _Guess, *, steps: int) -> Alignment:
    """The second picture of each pair, by half its size, within the first."""

    def fit_from(start: int) -> Alignment:
        chunk = slice(start, start + _CHUNK)
        second = _turned(halves[pairs.second[chunk]], pairs.turn[chunk])
        first = images[pairs.first[chunk]].astype(np.float32)
        return _fit_chunk(first, second, guess.centre[chunk], guess.extent[chunk], steps=steps)

    starts = range(0, len(pairs), _CHUNK)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = [_empty(), *pool.map(fit_from, starts)]
    names = Alignment.__dataclass_fields__
    return Alignment(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    )


def _empty() -> Alignment:
    pairs, numbers = np.zeros((0, 2), np.float32), np.zeros(0, np.float32)
    return Alignment(centre=pairs, extent=pairs, match=numbers, overlap=numbers)


def _turned(images: NDArray[np.uint8], turns: NDArray[np.int64]) -> Floats:
    turned = np.empty(images.shape, dtype=np.float32)
    for turn in TURNS:
        chosen = turns == turn
        turned[chosen] = turn_image(images[chosen][..., None], turn)[..., 0]
    return turned


def _fit_chunk(
    first: Floats, second: Floats, centre: Floats, extent: Floats, *, steps: int
) -> Alignment:
    size = second.shape[1]
    grid = ((np.arange(size) + 0.5) / size - 0.5).astype(np.float32)
    for _ in range(steps):
        seen, inside = _sample(first, centre, extent, grid)
        step = _gauss_newton_step(seen, second, inside, grid)
        centre = centre + extent * np.clip(step[:, :2], -0.1, 0.1)
        extent = extent * (1 + np.clip(step[:, 2:], -0.1, 0.1))
        extent = np.clip(extent, 0.3, 1.6)
    seen, inside = _sample(first, centre, extent, grid)
    left, right = _standardise(seen, inside), _standardise(second, inside)
    overlap = inside.mean(axis=(1, 2))
    match = (left * right * inside).mean(axis=(1, 2)) / np.maximum(overlap, 1e-6)
    return Alignment(centre=centre, extent=extent, match=match, overlap=overlap)


def _sample(images: Floats, centre: Floats, extent: Floats, grid: Floats) -> tuple[Floats, Floats]:
    """The window of each image on a grid, and 1 where it lies inside the image, else 0."""
    _, height, width = images.shape
    x = (centre[:, :1] + extent[:, :1] * grid + 0.5) * width - 0.5
    y = (centre[:, 1:] + extent[:, 1:] * grid + 0.5) * height - 0.5
    inside = _within(y, height)[:, :, None] * _within(x, width)[:, None, :]
    return _transposed(_rows_at(_transposed(_rows_at(images, y)), x)), inside


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


def _transposed(images: Floats) -> Floats:
    return np.ascontiguousarray(images.swapaxes(1, 2))


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
