"""What is wrong with a photo as it was taken, by whole numbers that every client gets alike.

All of it is measured on the pixels that the network sees. Kotlin and JavaScript have the same
arithmetic; the golden vectors hold its numbers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.images import Pixels

UNLIKE = "unlike the training pictures"
"""Why a picture is refused, whatever faults it has beside that."""

ADVICE = {
    "too dark": "take it again with more light",
    "too bright": "take it again with less light",
    "glare": "take it again without reflections: tilt the light, or use contact fluid",
    "blurred": "hold still, and let the camera focus",
    "not in the middle": "put the whole lesion in the middle",
    "too small": "go nearer, until the lesion fills a third of the width",
    "too little lesion": "aim at the lesion: there is hardly anything but skin",
    UNLIKE: "it may be no dermoscopic picture of a lesion",
}
"""Every reason that there is, with what helps."""

WEIGHTS = np.array([77, 150, 29])
"""Of red, green and blue in grey, in 256ths."""

CELLS = 56
BURNT = 245
NEAR, FAR = 2, 8
"""Pixels between which grey is compared: for detail, and for what it is held against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """Whole numbers of a picture; shares are in 1000ths, levels are grey in 0..255."""

    light: int
    """The level below which nine tenths lie."""
    middle: int
    """The level below which a half lies."""
    burnt: int
    """Share of pixels whose darkest colour is burnt out."""
    detail: int
    """Differences over 2 pixels, in 1000ths of those over 8."""
    contrast: int
    """From the skin's level to the lesion's, among cells of the inner disc."""
    area: int
    """Share of the disc that is nearer to the lesion's level than to the skin's."""
    offset: int
    """From the picture's middle to the lesion's, down or across, in 1000ths of a side."""


def measure_faults(pixels: Pixels) -> Measures:
    """The numbers of a picture (side, side, 3), whose side has `CELLS` as a divisor or more."""
    grey = (pixels.astype(np.int64) @ WEIGHTS) >> 8
    levels = np.sort(grey, axis=None)
    near, far = (_differences(grey, step) for step in (NEAR, FAR))
    return Measures(
        light=int(levels[levels.size * 9 // 10]),
        middle=int(levels[levels.size // 2]),
        burnt=int((pixels.min(axis=2) >= BURNT).sum()) * 1000 // levels.size,
        detail=near * 1000 // max(1, far),
        **_measure_lesion(grey),
    )


def find_faults(pixels: Pixels) -> tuple[str, ...]:
    """Names of the faults of a picture (side, side, 3), each in `ADVICE`."""
    return name_faults(measure_faults(pixels))


def name_faults(found: Measures) -> tuple[str, ...]:
    """The limits leave 19 of 20 dermoscopic pictures of validation without a word."""
    is_burnt, has_lesion = found.burnt > 12, found.contrast >= 27
    checks = {
        "too dark": found.light < 100,
        "too bright": is_burnt and found.middle >= 215,
        "glare": is_burnt and found.middle < 215,
        "blurred": found.detail < 271,
        "too little lesion": not has_lesion,
        "too small": has_lesion and found.area < 16,
        "not in the middle": has_lesion and found.area >= 16 and found.offset > 300,
    }
    return tuple(name for name, is_found in checks.items() if is_found)


def _differences(grey: NDArray[np.int64], step: int) -> int:
    """The sum of differences of level, down and across."""
    down = np.abs(grey[step:] - grey[:-step]).sum()
    across = np.abs(grey[:, step:] - grey[:, :-step]).sum()
    return int(down + across)


def _measure_lesion(grey: NDArray[np.int64]) -> dict[str, int]:
    """By cells of a few pixels within the disc that fits into the picture: no black corners."""
    side = len(grey) // CELLS
    cells = grey[: side * CELLS, : side * CELLS].reshape(CELLS, side, CELLS, side).sum(axis=(1, 3))
    cells = cells // side**2
    places = 2 * np.arange(CELLS) + 1 - CELLS
    rows, columns = np.meshgrid(places, places, indexing="ij")
    inside = rows**2 + columns**2 <= CELLS**2
    levels = np.sort(cells[inside])
    skin, lesion = (int(levels[levels.size * part // 1000]) for part in (800, 5))
    is_lesion = inside & (2 * cells < skin + lesion)
    count = max(1, int(is_lesion.sum()))
    down, across = (int(values[is_lesion].sum()) for values in (rows, columns))
    return {
        "contrast": skin - lesion,
        "area": count * 1000 // levels.size,
        "offset": max(abs(down), abs(across)) * 500 // (count * CELLS),
    }
