"""Faults of photos, made on purpose: each in three strengths."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Pixels = NDArray[np.uint8]
Fault = Callable[[Pixels, float, np.random.Generator], Pixels]


def darken(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Less light: levels times `strength`."""
    return _as_bytes(pixels * strength)


def brighten(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """More light: levels times `strength`, burnt out where they reach 255."""
    return _as_bytes(pixels * strength)


def add_glare(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Three white spots, soft at their edge, of `strength` of the side in radius."""
    side = len(pixels)
    rows, columns = np.indices((side, side))
    veil = np.zeros((side, side))
    for row, column in rng.uniform(0.3, 0.7, (3, 2)) * side:
        distance = np.hypot(rows - row, columns - column) / (strength * side)
        veil = np.maximum(veil, np.clip(2.2 - 1.2 * distance, 0, 1))
    share = veil[..., np.newaxis]
    return _as_bytes(pixels * (1 - share) + 255 * share)


def blur(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Out of focus: a Gaussian of `strength` pixels of 224."""
    image = Image.fromarray(pixels)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(strength * len(pixels) / 224)))


def shift(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """The lesion cut off: the picture moved by `strength` of its side, skin moved in."""
    side, by = len(pixels), int(strength * len(pixels))
    turns = int(rng.integers(4))
    turned = np.rot90(pixels, turns)
    skin = _skin_of(turned, (by, side))
    return np.ascontiguousarray(np.rot90(np.concatenate([skin, turned[: side - by]]), -turns))


def shrink(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """From too far away: the picture at `strength` of its size, skin around it."""
    side, small = len(pixels), int(strength * len(pixels))
    around, at = _skin_of(pixels, (side, side)).copy(), (side - small) // 2
    image = Image.fromarray(pixels).resize((small, small), Image.Resampling.LANCZOS)
    rows, columns = np.indices((small, small))
    distance = np.hypot(rows - small / 2 + 0.5, columns - small / 2 + 0.5) / (small / 2)
    share = np.clip((1 - distance) * 6, 0, 1)[..., np.newaxis]
    within = around[at : at + small, at : at + small]
    around[at : at + small, at : at + small] = _as_bytes(
        np.asarray(image) * share + within * (1 - share)
    )
    return around


def fade(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Hardly a lesion: `strength` of the picture over its skin."""
    skin = _skin_of(pixels, pixels.shape[:2])
    return _as_bytes(pixels * strength + skin * (1 - strength))


FAULTS: dict[str, tuple[Fault, tuple[float, float, float]]] = {
    "too dark": (darken, (0.6, 0.4, 0.25)),
    "too bright": (brighten, (1.4, 1.8, 2.4)),
    "glare": (add_glare, (0.04, 0.08, 0.14)),
    "blurred": (blur, (2.0, 4.0, 7.0)),
    "not in the middle": (shift, (0.2, 0.35, 0.5)),
    "too small": (shrink, (0.6, 0.4, 0.25)),
    "too little lesion": (fade, (0.6, 0.3, 0.15)),
}
"""By the word that has to be said of it: how it is made, and its three strengths."""


def _skin_of(pixels: Pixels, shape: tuple[int, ...]) -> Pixels:
    """A plain of the picture's light skin with a little grain."""
    light = np.percentile(pixels.reshape(-1, 3), 75, axis=0)
    grain = np.random.default_rng(0).normal(0, 2, (*shape, 1))
    return _as_bytes(light + grain)


def _as_bytes(values: NDArray[np.float64]) -> Pixels:
    return values.round().clip(0, 255).astype(np.uint8)
