"""Pictures of the training side's own making that show no lesion: what a gate learns to refuse.

Bare skin is cut out of the corners of training pictures. The rest is drawn: discs and corners of
all sizes that lie on each other like fallen leaves, whose statistics are near those of photographs
of the world (Lee, Mumford and Huang, 2001).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from edge_melanoma.data.images import Pixels, read_image

SHARES = (0.2, 0.45)
"""Of a side, that a corner of skin has."""

FLATTEST = 11.0
"""Largest standard deviation of grey in it: a lesion has more."""

READ_AT = 320
SMALLEST_CELLS = (2, 32)
"""Of a side, that shading and grain begin with."""


def cut_skin(paths: Sequence[Path], *, count: int, size: int, rng: Generator) -> Iterator[Pixels]:
    """Up to `count` flat corners (size, size, 3) that are as light as most of their picture."""
    found = 0
    for place in rng.permutation(len(paths)).tolist():
        if found == count:
            return
        pixels = read_image(paths[place], size=READ_AT)
        side = int(rng.uniform(*SHARES) * READ_AT)
        ends = (slice(0, side), slice(READ_AT - side, READ_AT))
        for rows, columns in ((a, b) for a in ends for b in ends):
            corner = pixels[rows, columns]
            grey = corner.mean(axis=2)
            if grey.std() <= FLATTEST and grey.mean() >= np.median(pixels.mean(axis=2)):
                found += 1
                yield np.asarray(Image.fromarray(corner).resize((size, size)))
                break


def draw_scenes(*, count: int, size: int, rng: Generator) -> Iterator[Pixels]:
    """`count` pictures (size, size, 3) of things that cover each other, shaded and grained."""
    for _ in range(count):
        scene = np.asarray(_draw_leaves(size, rng), np.float64)
        for cells, most in zip(SMALLEST_CELLS, (35.0, 25.0), strict=True):
            scene += _clouds(size, cells, rng) * rng.uniform(0, most)
        image = Image.fromarray(scene.clip(0, 255).astype(np.uint8))
        if rng.random() < 0.5:
            image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 2)))
        if rng.random() < 0.2:
            image = image.convert("L").convert("RGB")
        yield np.asarray(image)


def _draw_leaves(size: int, rng: Generator) -> Image.Image:
    image = Image.new("RGB", (size, size))
    draw, cornered, smallest = ImageDraw.Draw(image), rng.random(), rng.uniform(1, 6)
    palette = rng.uniform(0, 255, (int(rng.integers(3, 14)), 3))
    if rng.random() < 0.3:  # of one hue
        palette = palette.mean(axis=0) + (palette - palette.mean(axis=0)) * 0.35
    for _ in range(int(rng.integers(60, 900))):
        # Radii by the power law of the world's own sizes.
        radius = min(smallest * (1 - rng.random()) ** (-1 / 1.6), size * 0.6)
        x, y = rng.uniform(-radius, size + radius, 2)
        shade = palette[rng.integers(len(palette))] + rng.normal(0, 18, 3)
        colour = tuple(int(level) for level in shade.clip(0, 255))
        if rng.random() < cornered:
            turns = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 7))))
            draw.polygon(
                [(x + radius * np.cos(turn), y + radius * np.sin(turn)) for turn in turns],
                fill=colour,
            )
        else:
            flat = radius * rng.uniform(0.3, 1)
            draw.ellipse((x - radius, y - flat, x + radius, y + flat), fill=colour)
    return image


def _clouds(size: int, cells: int, rng: Generator) -> NDArray[np.float64]:
    """Noise (size, size, 1) of several sizes on top of each other."""
    total, first = np.zeros((size, size)), cells
    while cells < size:
        coarse = Image.fromarray(rng.normal(0, 1, (cells, cells)).astype(np.float32))
        soft = coarse.resize((size, size), Image.Resampling.BICUBIC)
        total += np.asarray(soft) * (first / cells) ** 0.7
        cells *= 2
    return total[..., np.newaxis]
