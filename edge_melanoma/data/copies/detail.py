"""The last word on a pair of pictures: both files are read again, their overlap is compared.

Two grey views of nearly the same scene are laid over each other and compared by fine detail.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_melanoma.data.copies.candidates import Floats, turn_image
from edge_melanoma.data.images import decode_image, read_image_bytes

LARGEST_SHIFT = 8
"""Pixels of 80 by which the first guess may be off."""
STEPS = 4
_GUIDING_BAND = (1.0, 4.0)
_JUDGING_BAND = (0.7, 2.2)
"""Finer than the outline of a lesion, which any two round ones share."""
_DARKEST_SKIN = 35
_SHADOW_MARGIN = 9
_LEAST_AREA = 0.08
VIEW_SIZE = 80
HASH_SIZE = 16
LARGEST_HASH_DISTANCE = 90
"""Bits of 256; pictures chosen at random differ by 128."""
LEAST_DETAIL = 0.72
"""Of 60 pairs of real pictures seen by eye between .62 and .71 some eight were different lesions of
a like outline, of 36 between .72 and .85 none; 95 % of synthetic copies have .94 and more."""

Matrix = NDArray[np.float64]
Shares = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetailView:
    """Detail (n, n) to be led by and to be judged by, and 1 where there is skin, else 0.

    It is taken at equal local contrast and away from black corners: otherwise the edge of a round
    field of view makes any two pictures alike.
    """

    guide: Floats
    detail: Floats
    skin: Floats


def detail_of(pixels: Floats) -> DetailView:
    """The fine detail of a grey picture (n, n)."""
    from scipy.ndimage import gaussian_filter, minimum_filter

    skin = minimum_filter(gaussian_filter(pixels, 1.5), _SHADOW_MARGIN) > _DARKEST_SKIN
    if skin.mean() < _LEAST_AREA:
        skin = np.ones_like(skin)
    return DetailView(
        guide=_band(pixels, *_GUIDING_BAND),
        detail=_band(pixels, *_JUDGING_BAND),
        skin=skin.astype(np.float32),
    )


def detail_in_common(one: DetailView, other: DetailView) -> float:
    """Correlation (-1..1) of fine detail, at best, once the second view lies on the first."""
    matrix, offset = np.eye(2), _shift(one, other)
    for _ in range(STEPS):
        matrix, offset = _improve(one, other, matrix, offset)
    untouched = _correlation(one, other, np.eye(2), np.zeros(2))
    return max(untouched, _correlation(one, other, matrix, offset))


def _band(pixels: Floats, fine: float, coarse: float) -> Floats:
    from scipy.ndimage import gaussian_filter

    band = gaussian_filter(pixels, fine) - gaussian_filter(pixels, coarse)
    contrast = np.sqrt(gaussian_filter(band**2, 4.0))
    return np.asarray(band / (contrast + 1.0))


def _shift(one: DetailView, other: DetailView) -> Matrix:
    """Where in `other` the origin of `one` lies (y, x), to a pixel, by correlation of both."""
    left, right = one.guide * one.skin, other.guide * other.skin
    shape = tuple(side + 2 * LARGEST_SHIFT for side in left.shape)
    spectrum = np.fft.rfft2(right, shape) * np.conj(np.fft.rfft2(left, shape))
    surface: Matrix = np.fft.irfft2(spectrum, shape)
    reach = np.arange(-LARGEST_SHIFT, LARGEST_SHIFT + 1)
    near = surface[np.ix_(reach, reach)]
    row, column = np.unravel_index(int(near.argmax()), near.shape)
    return np.array([row, column], dtype=np.float64) - LARGEST_SHIFT


def _improve(
    one: DetailView, other: DetailView, matrix: Matrix, offset: Matrix
) -> tuple[Matrix, Matrix]:
    """One Gauss-Newton step over the six numbers of an affine map."""
    seen, both = _through(one, other, other.guide, matrix, offset)
    rows, columns = np.nonzero(both)
    if len(rows) < _LEAST_AREA * both.size:
        return matrix, offset
    down, across = map(np.asarray, np.gradient((seen + one.guide) / 2, axis=(0, 1)))
    middle = (np.array(both.shape) - 1) / 2
    y, x = (rows - middle[0]) / middle[0], (columns - middle[1]) / middle[1]
    slope_y, slope_x = down[rows, columns], across[rows, columns]
    slopes = np.stack([slope_y, slope_y * y, slope_y * x, slope_x, slope_x * y, slope_x * x])
    normal = slopes @ slopes.T
    normal[np.diag_indices(6)] = normal.diagonal() * 1.01 + 1e-6
    error = (one.guide - seen)[rows, columns]
    step = np.linalg.solve(normal, slopes @ error).clip(-3, 3).reshape(2, 3)
    turn = step[:, 1:] / middle
    return matrix + matrix @ turn, offset + matrix @ (step[:, 0] - turn @ middle)


def _correlation(one: DetailView, other: DetailView, matrix: Matrix, offset: Matrix) -> float:
    seen, inside = _through(one, other, other.detail, matrix, offset)
    if inside.mean() < _LEAST_AREA:
        return 0.0
    left, right = one.detail[inside], seen[inside]
    deviations = float(left.std() * right.std())
    if deviations < 1e-6:
        return 1.0 if left.std() == right.std() else 0.0
    return float(((left - left.mean()) * (right - right.mean())).mean() / deviations)


def _through(
    one: DetailView, other: DetailView, pixels: Floats, matrix: Matrix, offset: Matrix
) -> tuple[Floats, NDArray[np.bool_]]:
    """`pixels` of `other` as seen from `one`, and where both have skin."""
    from scipy.ndimage import affine_transform

    seen = affine_transform(pixels, matrix, offset, order=1)
    skin = affine_transform(other.skin, matrix, offset, order=0)
    return seen, skin * one.skin > 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseLook:
    """Bits of the 256-bit perceptual hashes that differ, and how fine detail correlates (-1..1)."""

    hash_distance: int
    detail: float

    @property
    def is_copy(self) -> bool:
        """Whether the two files show the same picture of the same lesion."""
        return self.hash_distance <= LARGEST_HASH_DISTANCE and self.detail >= LEAST_DETAIL


def look_closely(
    first: Path, second: Path, *, turn: int, centre: Floats, extent: Floats
) -> CloseLook:
    """Compare `second`, turned, with the window of `first` that it was aligned to."""
    import imagehash

    views = common_views(first, second, turn=turn, centre=centre, extent=extent)
    left, right = (imagehash.phash(view, hash_size=HASH_SIZE) for view in views)
    distance = int(left - right)
    if distance > LARGEST_HASH_DISTANCE:
        return CloseLook(hash_distance=distance, detail=0.0)
    one, other = (detail_of(np.asarray(view, dtype=np.float32)) for view in views)
    return CloseLook(hash_distance=distance, detail=detail_in_common(one, other))


def common_views(
    first: Path, second: Path, *, turn: int, centre: Floats, extent: Floats
) -> tuple[Image.Image, Image.Image]:
    """What both pictures show, as grey pictures of 80x80 each."""
    start = centre - extent / 2 + 0.5
    low = np.clip((0 - start) / extent, 0, 1)
    high = np.clip((1 - start) / extent, 0, 1)
    one, other = (decode_image(read_image_bytes(file), name=str(file)) for file in (first, second))
    left = _view(one, start + low * extent, start + high * extent)
    return left, _view(turn_image(other, turn), low, high)


def _view(pixels: NDArray[np.uint8], low: Shares, high: Shares) -> Image.Image:
    """The box from `low` to `high` (x, y; shares of the frame) as grey 80x80."""
    height, width = pixels.shape[:2]
    grey = Image.fromarray(np.ascontiguousarray(pixels)).convert("L")
    edges = np.clip(np.concatenate([low, high]), 0, 1) * [width, height, width, height]
    left, top, right, bottom = edges.tolist()
    return grey.resize(
        (VIEW_SIZE, VIEW_SIZE), Image.Resampling.BILINEAR, box=(left, top, right, bottom)
    )
