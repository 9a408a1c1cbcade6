"""Faults of photos, each made on purpose in a drawn one."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageFilter

from edge_melanoma.data.faults import ADVICE, Measures, find_faults, measure_faults, name_faults
from edge_melanoma.data.images import Pixels

SIDE = 224
PLAIN = {"clipped": 0, "red": 1200, "blue": 900, "colour": 300}
SOUND = Measures(
    light=180, middle=160, burnt=0, detail=500, contrast=80, area=200, offset=80, **PLAIN
)


def draw_lesion(*, radius: float = 0.25, at: tuple[float, float] = (0.5, 0.5)) -> Pixels:
    """A brown disc on grained skin."""
    rows, columns = np.indices((SIDE, SIDE)) / SIDE
    inside = np.hypot(rows - at[0], columns - at[1]) < radius
    skin, brown = np.array([205.0, 165.0, 145.0]), np.array([110.0, 75.0, 60.0])
    pixels = np.where(inside[..., None], brown, skin)
    grain = np.random.default_rng(0).normal(0, 8, (SIDE, SIDE, 1))
    return np.asarray((pixels + grain).clip(0, 255), np.uint8)


def blurred(pixels: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(6)))


def with_glare(pixels: Pixels) -> Pixels:
    spoilt = pixels.copy()
    spoilt[100:130, 100:130] = 255
    return spoilt


def test_a_good_photo_has_none() -> None:
    assert find_faults(draw_lesion()) == ()


@pytest.mark.parametrize(
    ("fault", "spoil"),
    [
        ("too dark", lambda pixels: (pixels * 0.4).astype(np.uint8)),
        ("too bright", lambda pixels: (pixels * 2.0).clip(0, 255).astype(np.uint8)),
        ("glare", with_glare),
        ("blurred", blurred),
        ("too small", lambda pixels: draw_lesion(radius=0.05)),
        ("not in the middle", lambda pixels: draw_lesion(radius=0.1, at=(0.15, 0.5))),
        ("too little lesion", lambda pixels: draw_lesion(radius=0.0)),
    ],
)
def test_each_is_named_and_has_advice(fault: str, spoil: Callable[[Pixels], Pixels]) -> None:
    assert fault in find_faults(spoil(draw_lesion()))
    assert fault in ADVICE


def test_measures_are_whole_numbers_of_a_picture_that_can_be_counted() -> None:
    half = np.zeros((SIDE, SIDE, 3), np.uint8)
    half[:, 112:] = 255
    found = measure_faults(half)
    assert (found.light, found.middle, found.burnt) == (255, 255, 500)
    assert found.contrast == 255
    # One edge: 2 of 224 differences against 8, and half of the disc is dark.
    assert (found.detail, found.area, found.clipped) == (250, 500, 500)
    assert name_faults(SOUND) == ()
