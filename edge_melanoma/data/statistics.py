"""Numbers of a picture that know nothing of lesions.

If they tell the classes apart, a network may learn them: one that detects cameras and clinics, and
fails where the pictures come from elsewhere.
"""

import io
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LOSSLESS_QUALITY = 100.0
_CORNER_SHARE = 0.08
_BORDER_SHARE = 0.05
# Annex K of the JPEG standard: the luminance table at quality 50, whose mean is 57.6.
_MEAN_STANDARD_STEP = 57.625
_STRIP_PIXELS = 1_000_000

Grey = NDArray[np.uint8]


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
    grey = _to_grey(pixels)
    levels, counts = np.arange(256), Image.fromarray(grey).histogram()
    brightness = np.average(levels, weights=counts)
    contrast = np.sqrt(np.average((levels - brightness) ** 2, weights=counts))
    red, green, blue = (float(pixels[..., channel].mean()) for channel in range(3))
    return TrivialStatistics(
        mean_red=red,
        mean_green=green,
        mean_blue=blue,
        brightness=float(brightness),
        contrast=float(contrast),
        corner_brightness=_corner_brightness(grey),
        border_brightness=_border_brightness(grey),
        sharpness=_sharpness(grey),
        width=width,
        height=height,
        aspect=width / height,
        bits_per_pixel=8 * len(data) / (width * height),
        jpeg_quality=_jpeg_quality(data),
    )


def _corner_brightness(grey: Grey) -> float:
    rows, columns = (max(1, round(side * _CORNER_SHARE)) for side in grey.shape)
    bands = (grey[:rows], grey[-rows:])
    corners = [corner for band in bands for corner in (band[:, :columns], band[:, -columns:])]
    return float(np.mean([corner.mean() for corner in corners]))


def _border_brightness(grey: Grey) -> float:
    """Of the frame's edge against the whole picture: a vignette or a ruled frame."""
    rows, columns = (max(1, round(side * _BORDER_SHARE)) for side in grey.shape)
    edges = (grey[:rows], grey[-rows:], grey[:, :columns], grey[:, -columns:])
    return float(np.mean([edge.mean() for edge in edges]) - grey.mean())


def _sharpness(grey: Grey) -> float:
    """Mean difference of neighbouring pixels: low where blurred, enlarged or compressed much."""
    height, width = grey.shape
    down = sum(_sum_of_steps(rows, axis=0) for rows in _strips(grey, overlap=1))
    across = sum(_sum_of_steps(rows, axis=1) for rows in _strips(grey))
    means = down / max(1, (height - 1) * width), across / max(1, height * (width - 1))
    return float(np.mean(means))


def _sum_of_steps(grey: Grey, *, axis: int) -> int:
    return int(np.abs(np.diff(grey.astype(np.int16), axis=axis)).sum())


def _to_grey(pixels: NDArray[np.uint8]) -> Grey:
    strips = [np.asarray(Image.fromarray(rows).convert("L")) for rows in _strips(pixels)]
    return np.concatenate(strips)


def _strips(pixels: NDArray[np.uint8], *, overlap: int = 0) -> Iterator[NDArray[np.uint8]]:
    """Stretches of rows: work on them takes little memory, however large the picture is."""
    rows = max(1, _STRIP_PIXELS // pixels.shape[1])
    for top in range(0, len(pixels), rows):
        yield pixels[top : top + rows + overlap]


def _jpeg_quality(data: bytes) -> float:
    """The quality setting (1 to 100) that the file's quantisation table belongs to."""
    with Image.open(io.BytesIO(data)) as image:
        tables = getattr(image, "quantization", None)
    if not tables:
        return LOSSLESS_QUALITY
    scale = 100 * float(np.mean(tables[min(tables)])) / _MEAN_STANDARD_STEP
    return float(np.clip((200 - scale) / 2 if scale <= 100 else 5000 / scale, 1, 100))
