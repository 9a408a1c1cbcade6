"""What lies between the skin and the sensor: hair, scale strokes, ink, dark corners, blur.

Each is found by one number and one limit, made for pictures of 224x224 and chosen by looking at
training pictures of one set. Of those found among other training pictures, looked at one by one,
right were: hair 34 of 40, ruler marks 29 of 30, ink 12 of 17 (the others are blue lesions and what
surrounds them), dark corners 30 of 30, blur about 18 of 30 (the others have little detail). They
are slices for a table and no segmentation: single, white and faint hairs, faint scales and grey
ink are not seen.
"""

from collections.abc import Callable
from functools import reduce
from types import MappingProxyType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Line = tuple[tuple[int, int], ...]
"""Offsets (row, column) of a line's pixels from its middle."""

Pixels = TypeVar("Pixels", NDArray[np.uint8], NDArray[np.bool_])


LIMITS = MappingProxyType(
    {
        "hair": 0.04,  # of the lighter skin lies under hairs
        "ruler marks": 8.0,  # strokes in a row, equally far apart
        "ink": 0.003,  # of the picture is violet or blue, away from its middle
        "dark corners": 0.8,  # the third darkest corner; 0.8 is grey level 51
        "blur": 0.45,  # Crete's blur, 0 sharp to 1
    }
)
"""Things in a picture that are not the patient, and from where on each counts as seen."""

HAIR_WIDTH, HAIR_LENGTH, HAIR_CONTRAST = 9, 23, 12
"""Pixels, pixels and grey levels: a hair is narrower, longer and darker."""

STROKE_WIDTH, STROKE_CONTRAST = 5, 8
STROKE_GAPS = (7, 30)
STROKE_ANGLES = 30
"""Turns of the scale that are tried, over half a turn."""

CORNER = 28
"""Side in pixels of the corner triangles."""

BLUR_WIDTH, BLUR_MARGIN = 9, 20
SHARP_LAPLACIAN = 20.0
"""Variance of the Laplacian above which a picture has sharp edges somewhere."""

DARK_GREY = 45
"""Grey level 0..255 below which nothing was lit; the darkest skin of the pictures lies above 60."""

SMALLEST_DARK_AREA = 60
THINNEST = 9
"""Side in pixels: dark hairs that reach the frame are thinner, and are in view."""

MARGIN = 8
"""Pixels that the soft edge of a round field takes besides."""


def find_artefacts(pixels: NDArray[np.uint8]) -> frozenset[str]:
    """The artefacts of an RGB picture (224, 224, 3)."""
    measured = measure_artefacts(pixels).items()
    return frozenset(artefact for artefact, number in measured if number >= LIMITS[artefact])


def measure_artefacts(pixels: NDArray[np.uint8]) -> dict[str, float]:
    """The number behind each artefact, compared with its entry in `LIMITS`."""
    grey, field = grey_of(pixels), find_field(pixels)
    if not field.any():
        return dict.fromkeys(LIMITS, 0.0) | {"dark corners": _corner_darkness(grey)}
    return {
        "hair": _hair_share(grey, field),
        "ruler marks": float(_count_strokes(grey, field)),
        "ink": _ink_share(pixels, field),
        "dark corners": _corner_darkness(grey),
        "blur": _blur(grey, find_field(pixels, margin=BLUR_MARGIN)),
    }


def grey_of(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luma of ITU-R BT.601, (height, width), of RGB pixels (height, width, 3)."""
    return np.asarray(Image.fromarray(pixels).convert("L"))


def find_field(pixels: NDArray[np.uint8], *, margin: int = MARGIN) -> NDArray[np.bool_]:
    """True where the picture is lit, (height, width); a dark lesion within it counts as lit."""
    from scipy import ndimage

    without_hairs = ndimage.grey_closing(grey_of(pixels), size=(THINNEST, THINNEST))
    labels, _ = ndimage.label(without_hairs < DARK_GREY)
    sizes = np.bincount(labels.ravel())
    frame = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    dark = np.isin(labels, frame[(frame > 0) & (sizes[frame] >= SMALLEST_DARK_AREA)])
    return ~ndimage.binary_dilation(dark, iterations=margin) if dark.any() else ~dark


def _hair_share(grey: NDArray[np.uint8], field: NDArray[np.bool_]) -> float:
    """Share of the lighter skin under long dark lines: black-hat, as in DullRazor (Lee, 1997).

    The darker two fifths are left out, because pigment networks are thin dark lines too.
    """
    from scipy import ndimage

    closed = [close_along(grey, line_at(turn / 4, length=HAIR_WIDTH)) for turn in range(4)]
    without_hairs = np.max(closed, axis=0)
    narrow = (without_hairs - grey > HAIR_CONTRAST) & field
    hairs = np.zeros_like(narrow)
    for turn in range(12):
        hairs |= open_along(narrow, line_at(turn / 12, length=HAIR_LENGTH))
    around = ndimage.uniform_filter(without_hairs, 31)
    lighter = field & (around >= np.quantile(around[field], 0.4))
    return float(hairs[lighter].mean())


def line_at(angle: float, *, length: int) -> Line:
    """A line of `length` pixels about its middle, `angle` in half turns from the horizontal."""
    steps = np.linspace(-(length - 1) / 2, (length - 1) / 2, 3 * length)
    rows = np.rint(steps * np.sin(np.pi * angle)).astype(int)
    columns = np.rint(steps * np.cos(np.pi * angle)).astype(int)
    return tuple(sorted(set(zip(rows.tolist(), columns.tolist(), strict=True))))


def close_along(pixels: Pixels, line: Line) -> Pixels:
    """Fill what is darker than its surroundings and narrower than the line along it.

    As scipy.ndimage.grey_closing with the line as footprint, in a fifth of its time.
    """
    return _extreme(_extreme(pixels, line, np.maximum), line, np.minimum)


def open_along(pixels: Pixels, line: Line) -> Pixels:
    """Keep what is bright (or true) along the whole of a line, wherever the line fits."""
    return _extreme(_extreme(pixels, line, np.minimum), line, np.maximum)


def _extreme(pixels: Pixels, line: Line, choose: Callable[[Pixels, Pixels], Pixels]) -> Pixels:
    """The largest or smallest of each pixel's neighbours on a line; the edge goes on outside."""
    height, width = pixels.shape
    margin = np.abs(line).max()
    padded = np.pad(pixels, margin, mode="edge")
    shifted = (padded[margin + row :, margin + column :] for row, column in line)
    return reduce(choose, (one[:height, :width] for one in shifted))


def _count_strokes(grey: NDArray[np.uint8], field: NDArray[np.bool_]) -> int:
    """The longest row of parallel short dark strokes that are equally far apart."""
    most = 0
    for turn in range(STROKE_ANGLES):
        across = line_at(turn / STROKE_ANGLES, length=STROKE_WIDTH)
        narrow = (close_along(grey, across) - grey > STROKE_CONTRAST) & field
        turned = Image.fromarray(narrow.astype(np.uint8) * 255).rotate(
            180 * turn / STROKE_ANGLES, Image.Resampling.BILINEAR
        )
        dark = np.asarray(turned) > 127
        strokes = dark[:-3] & dark[1:-2] & dark[2:-1] & dark[3:]
        starts = strokes[:, 1:] & ~strokes[:, :-1]
        for row in np.flatnonzero(starts.sum(axis=1) > max(most, 6)):
            most = max(most, longest_even_row(np.flatnonzero(starts[row])))
    return most


def longest_even_row(places: NDArray[np.intp]) -> int:
    """Most successive places whose gaps are equal to one pixel, or two from 14 pixels on."""
    gaps = np.diff(places).tolist()
    longest = start = 0
    for end in range(len(gaps)):
        if not STROKE_GAPS[0] <= gaps[end] <= STROKE_GAPS[1]:
            start = end + 1
            continue
        while max(gaps[start : end + 1]) - min(gaps[start : end + 1]) > 1 + (gaps[end] >= 14):
            start += 1
        longest = max(longest, end - start + 2)
    return longest


def _ink_share(pixels: NDArray[np.uint8], field: NDArray[np.bool_]) -> float:
    """Share of violet or strong blue that is darker than skin, away from the middle.

    Zero where the whole picture is blue: that is its white balance, or a blue lesion.
    """
    hsv = np.asarray(Image.fromarray(pixels).convert("HSV"), dtype=np.float32)
    hsv = hsv * np.array([360 / 255, 1, 1], dtype=np.float32)
    hue, saturation, value = hsv.transpose(2, 0, 1)
    if 60 < np.median(hue[field]) < 285:
        return 0.0
    violet = (hue > 238) & (hue < 290) & (saturation > 80)
    blue = (hue > 218) & (hue <= 238) & (saturation > 110) & (value > 120)
    rows, columns = np.ogrid[-1 : 1 : len(hue) * 1j, -1 : 1 : hue.shape[1] * 1j]
    outer = np.hypot(rows, columns) > 0.55
    grey = grey_of(pixels)
    darker = (value > 60) & (grey < 0.9 * np.median(grey[field]))
    return float(((violet | blue) & darker & outer & field).mean())


def _corner_darkness(grey: NDArray[np.uint8]) -> float:
    """1 for a black third darkest corner, 0 for a white one."""
    triangle = np.add.outer(np.arange(CORNER), np.arange(CORNER)) < CORNER
    turned = [np.rot90(grey, quarter)[:CORNER, :CORNER][triangle] for quarter in range(4)]
    return 1 - float(np.sort([corner.mean() for corner in turned])[2]) / 255


def _blur(grey: NDArray[np.uint8], field: NDArray[np.bool_]) -> float:
    """How little a further blur changes: Crete and others, The blur effect, 2007.

    Alone it calls dark lesions on plain skin blurred, where the variance of the Laplacian is high;
    that variance alone, which is common, calls all smooth skin blurred.
    """
    from scipy import ndimage

    exact = grey.astype(np.float32)
    if not field.any() or ndimage.laplace(exact)[field].var() > SHARP_LAPLACIAN:
        return 0.0
    blurs = []
    for axis, inside in ((0, field[1:]), (1, field[:, 1:])):
        smooth = ndimage.uniform_filter1d(exact, BLUR_WIDTH, axis=axis)
        steps = np.abs(np.diff(exact, axis=axis))[inside]
        left = np.minimum(steps, np.abs(np.diff(smooth, axis=axis))[inside])
        blurs.append(float(left.sum() / steps.sum()) if steps.any() else 0.0)
    return max(blurs)
