"""Coarse colour layouts of pictures and of windows in them, as cosine waves.

A window is (left, top, right, bottom): the shares of the frame that are cut off at each side.
Turns 0 to 3 are quarter turns, 4 to 7 the same of the mirrored picture.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.screening import THUMBNAIL_SIZE

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
