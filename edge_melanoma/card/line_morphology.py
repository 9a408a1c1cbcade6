"""Grey and binary morphology with straight lines: what finds hairs and scale strokes."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Line = tuple[tuple[int, int], ...]
"""Offsets (row, column) of a line's pixels from its middle."""

Pixels = TypeVar("Pixels", NDArray[np.uint8], NDArray[np.bool_])


def line_at(angle: float, *, length: int) -> Line:
    """A line of `length` pixels about its middle, `angle` in half turns from the horizontal."""
    steps = np.linspace(-(length - 1) / 2, (length - 1) / 2, 3 * length)
    rows = np.rint(steps * np.sin(np.pi * angle)).astype(int)
    columns = np.rint(steps * np.cos(np.pi * angle)).astype(int)
    return tuple(sorted(set(zip(rows.tolist(), columns.tolist(), strict=True))))


def close_along(pixels: Pixels, line: Line) -> Pixels:
    """Fill what is darker than its surroundings and narrower than the line along it."""
    return _extreme(_extreme(pixels, line, np.maximum), line, np.minimum)


def open_along(pixels: Pixels, line: Line) -> Pixels:
    """Keep what is bright (or true) along the whole of a line, wherever the line fits."""
    return _extreme(_extreme(pixels, line, np.minimum), line, np.maximum)


def _extreme(pixels: Pixels, line: Line, choose: Callable[[Pixels, Pixels], Pixels]) -> Pixels:
    """The largest or smallest of each pixel's neighbours on a line; the edge goes on outside."""
    margin = max(max(abs(row), abs(column)) for row, column in line)
    padded = np.pad(pixels, margin, mode="edge")
    height, width = pixels.shape
    result: Pixels | None = None
    for row, column in line:
        top, left = margin + row, margin + column
        shifted = padded[top : top + height, left : left + width]
        result = shifted.copy() if result is None else choose(result, shifted)
    if result is None:
        raise ValueError("A line has no pixels.")
    return result
