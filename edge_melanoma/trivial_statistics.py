"""Numbers of a picture that know nothing of lesions.

If they tell the classes apart, a network may learn them: one that detects cameras and clinics, and
fails where the pictures come from elsewhere.
"""

import io
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageStat

LOSSLESS_QUALITY = 100.0
_CORNER_SHARE = 0.08
_BORDER_SHARE = 0.05
# Annex K of the JPEG standard: the luminance table at quality 50, whose mean is 57.6.
_MEAN_STANDARD_STEP = 57.625


class TrivialStatistics(NamedTuple):
    """Colours and brightness in 0..255, sizes in pixels, file size in bits a pixel."""

    mean_red: float
    mean_green: float
    mean_blue: float
    brightness: float
    contrast: float
    corner_brightness: float
    border_brightness: float
    sharpness: float
    width: float
    height: float
    aspect: float
    bits_per_pixel: float
    jpeg_quality: float


def measure_picture(pixels: NDArray[np.uint8], *, data: bytes) -> TrivialStatistics:
    """Of the upright pixels (height, width, 3) and of the file they came from."""
    height, width = pixels.shape[:2]
    image = Image.fromarray(pixels)
    grey = np.asarray(image.convert("L"), dtype=np.float32)
    red, green, blue = ImageStat.Stat(image).mean
    return TrivialStatistics(
        mean_red=red,
        mean_green=green,
        mean_blue=blue,
        brightness=float(grey.mean()),
        contrast=float(grey.std()),
        corner_brightness=_corner_brightness(grey),
        border_brightness=_border_brightness(grey),
        sharpness=_sharpness(grey),
        width=width,
        height=height,
        aspect=width / height,
        bits_per_pixel=8 * len(data) / (width * height),
        jpeg_quality=_jpeg_quality(data),
    )


def _corner_brightness(grey: NDArray[np.float32]) -> float:
    height, width = grey.shape
    rows, columns = (max(1, round(side * _CORNER_SHARE)) for side in (height, width))
    corners = [
        grey[vertical, horizontal].mean()
        for vertical in (slice(rows), slice(height - rows, None))
        for horizontal in (slice(columns), slice(width - columns, None))
    ]
    return float(np.mean(corners))


def _border_brightness(grey: NDArray[np.float32]) -> float:
    """Of the frame's edge against the whole picture: a vignette or a ruled frame."""
    height, width = grey.shape
    rows, columns = (max(1, round(side * _BORDER_SHARE)) for side in (height, width))
    edges = (grey[:rows], grey[-rows:], grey[:, :columns], grey[:, -columns:])
    return float(np.mean([edge.mean() for edge in edges]) - grey.mean())


def _sharpness(grey: NDArray[np.float32]) -> float:
    """Mean difference of neighbouring pixels: low where blurred, enlarged or compressed much."""
    steps = [np.abs(np.diff(grey, axis=axis)) for axis in (0, 1)]
    return float(np.mean([step.mean() if step.size else 0.0 for step in steps]))


def _jpeg_quality(data: bytes) -> float:
    """The quality setting (1 to 100) that the file's quantisation table belongs to."""
    with Image.open(io.BytesIO(data)) as image:
        tables = getattr(image, "quantization", None)
    if not tables:
        return LOSSLESS_QUALITY
    scale = 100 * float(np.mean(tables[min(tables)])) / _MEAN_STANDARD_STEP
    return float(np.clip((200 - scale) / 2 if scale <= 100 else 5000 / scale, 1, 100))
