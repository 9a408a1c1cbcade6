"""Generated lesions with copies of every kind, for the tests that look for copies."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from edge_melanoma.data.phantoms import draw_phantom

COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "resized": lambda image: image.resize((170, 150)),
    "cropped": lambda image: image.crop((30, 12, 190, 200)),
    "middle square": lambda image: image.crop((28, 0, 196, 224)).resize((224, 224)),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "turned crop": lambda image: image.crop((10, 30, 200, 215)).transpose(
        Image.Transpose.TRANSVERSE
    ),
}


def draw(seed: int, *, is_malignant: bool = False) -> Image.Image:
    """One lesion."""
    return Image.fromarray(draw_phantom(is_malignant=is_malignant, seed=seed))


def write_lesions(folder: Path, *, count: int) -> None:
    """Half benign, half malignant, as PNG: folder/benign/0.png ..."""
    for name, is_malignant in (("benign", False), ("malignant", True)):
        (folder / name).mkdir(parents=True)
        for seed in range(count // 2):
            draw(seed, is_malignant=is_malignant).save(folder / name / f"{seed}.png")


def noise(seed: int, *, size: int = 64) -> Image.Image:
    """A picture that resembles no other."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return Image.fromarray(pixels)
