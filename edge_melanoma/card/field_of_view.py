"""What of a picture the dermatoscope saw: everything but the black that touches the frame."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

DARK_GREY = 45
"""Grey level 0..255 below which nothing was lit; the darkest skin of the pictures lies above 60."""

SMALLEST_DARK_AREA = 60
THINNEST = 9
"""Side in pixels: dark hairs that reach the frame are thinner, and are in view."""

MARGIN = 8
"""Pixels that the soft edge of a round field takes besides."""


def grey_of(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luma of ITU-R BT.601, (height, width), of RGB pixels (height, width, 3)."""
    return np.asarray(Image.fromarray(pixels).convert("L"))


def find_field(pixels: NDArray[np.uint8], *, margin: int = MARGIN) -> NDArray[np.bool_]:
    """True where the picture is lit, (height, width); a dark lesion within it counts as lit."""
    from scipy import ndimage

    without_hairs = ndimage.grey_closing(grey_of(pixels), size=(THINNEST, THINNEST))
    labels, count = ndimage.label(without_hairs < DARK_GREY)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    frame = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    outside = frame[(frame > 0) & (sizes[frame] >= SMALLEST_DARK_AREA)]
    dark = np.isin(labels, outside)
    return ~ndimage.binary_dilation(dark, iterations=margin) if dark.any() else ~dark
