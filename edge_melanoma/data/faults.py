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

PLACES = 2 * np.arange(CELLS) + 1 - CELLS
ROWS, COLUMNS = np.meshgrid(PLACES, PLACES, indexing="ij")
INSIDE = ROWS**2 + COLUMNS**2 <= CELLS**2
"""Cells within the disc that fits into the picture: no black corners."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """Whole numbers of a picture; shares are in 1000ths, levels are grey in 0..255."""

    light: int
    """The level below which nine tenths lie."""
    middle: int
    """The level below which a half lies."""
    burnt: int
    """Share of pixels whose darkest colour is burnt out."""
    clipped: int
    """Share of pixels one of whose colours is at its end, mostly the red of skin."""
    detail: int
    """Differences over 2 pixels, in 1000ths of those over 8."""
    contrast: int
    """From the skin's level to the lesion's, among cells of the inner disc."""
    area: int
    """How dark the disc is, in 1000ths of one that is lesion all over."""
    offset: int
    """From the picture's middle to that of what is dark, down or across, in 1000ths of a side."""
    red: int
    """Of the lightest tenth of the disc, in 1000ths of its green: the light and the camera."""
    blue: int
    """The same of blue."""
    colour: int
    """Saturation of the disc: what its colours differ by, in 1000ths of the largest."""


def measure_faults(pixels: Pixels) -> Measures:
    """The numbers of a picture (side, side, 3), whose side has `CELLS` as a divisor or more."""
    grey = (pixels.astype(np.int64) @ WEIGHTS) >> 8
    below = np.bincount(grey.ravel(), minlength=256).cumsum()
    light, middle = (below.searchsorted(grey.size * part // 10, "right") for part in (9, 5))
    near, far = (_differences(grey, step) for step in (NEAR, FAR))
    cells = _cells_of(grey[..., np.newaxis])[..., 0] // (len(grey) // CELLS) ** 2
    return Measures(
        light=int(light),
        middle=int(middle),
        burnt=int((pixels.min(axis=2) >= BURNT).sum()) * 1000 // grey.size,
        clipped=int((pixels.max(axis=2) == 255).sum()) * 1000 // grey.size,
        detail=near * 1000 // max(1, far),
        **_measure_lesion(cells),
        **_measure_colours(cells, _cells_of(pixels.astype(np.int64))),
    )


def find_faults(pixels: Pixels) -> tuple[str, ...]:
    """Names of the faults of a picture (side, side, 3), each in `ADVICE`."""
    return name_faults(measure_faults(pixels))


def name_faults(found: Measures) -> tuple[str, ...]:
    """The limits leave 29 of 30 dermoscopic pictures of validation without a word."""
    is_burnt, has_lesion = found.burnt > 12, found.contrast >= 27
    is_bright = found.clipped > 200 or (is_burnt and found.middle >= 215)
    is_small = found.area < 58 and found.contrast >= 10
    checks = {
        "too dark": found.light < 100,
        "too bright": is_bright,
        "glare": is_burnt and not is_bright,
        "blurred": found.detail < 269,
        "too little lesion": not has_lesion and not is_small,
        "too small": is_small,
        "not in the middle": has_lesion and not is_small and found.offset > 205,
    }
    return tuple(name for name, is_found in checks.items() if is_found)


def _differences(grey: NDArray[np.int64], step: int) -> int:
    """The sum of differences of level, down and across."""
    down = np.abs(grey[step:] - grey[:-step]).sum()
    across = np.abs(grey[:, step:] - grey[:, :-step]).sum()
    return int(down + across)


def _cells_of(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums of squares of a few pixels (CELLS, CELLS, channels)."""
    side = len(values) // CELLS
    whole = values[: side * CELLS, : side * CELLS]
    return np.asarray(whole.reshape(CELLS, side, CELLS, side, -1).sum(axis=(1, 3)))


def _measure_lesion(cells: NDArray[np.int64]) -> dict[str, int]:
    levels = np.sort(cells[INSIDE])
    skin, lesion = (int(levels[levels.size * part // 1000]) for part in (800, 5))
    darkness = np.where(INSIDE, (skin - cells).clip(0, skin - lesion), 0)
    whole = max(1, int(darkness.sum()))
    down, across = (abs(int((darkness * values).sum())) for values in (ROWS, COLUMNS))
    return {
        "contrast": skin - lesion,
        "area": whole * 1000 // (max(1, skin - lesion) * levels.size),
        "offset": max(down, across) * 500 // (whole * CELLS),
    }


def _measure_colours(cells: NDArray[np.int64], sums: NDArray[np.int64]) -> dict[str, int]:
    """The lightest parts are skin, gel and gloss: they vary least with what the picture shows."""
    levels = np.sort(cells[INSIDE])
    is_light = INSIDE & (cells >= levels[levels.size * 9 // 10])
    red, green, blue = (int(one) for one in sums[is_light].sum(axis=0))
    disc = sums[INSIDE]
    highest = disc.max(axis=1)
    spread = int((highest - disc.min(axis=1)).sum())
    return {
        "red": red * 1000 // max(1, green),
        "blue": blue * 1000 // max(1, green),
        "colour": spread * 1000 // max(1, int(highest.sum())),
    }
