"""Waves of a layout follow turns exactly, and the features do not follow them at all."""

import numpy as np
import pytest
from copied_lesions import draw
from PIL import Image

from edge_melanoma.data.copies.candidates import (
    TURNED_BACK,
    TURNS,
    WHOLE,
    Floats,
    layout_waves,
    shapes_of,
    turn_image,
    turned_shapes,
    turnless_features,
)


def thumbnail(seed: int) -> Floats:
    return np.asarray(draw(seed).resize((48, 48), Image.Resampling.BOX), dtype=np.float32)


@pytest.mark.parametrize("turn", TURNS)
def test_every_turn_is_undone(turn: int) -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    np.testing.assert_array_equal(turn_image(turn_image(pixels, turn), TURNED_BACK[turn]), pixels)


@pytest.mark.parametrize("turn", TURNS)
def test_turned_shapes_are_the_shapes_of_turned_pictures(turn: int) -> None:
    picture = thumbnail(3)
    turned = layout_waves(turn_image(picture, turn)[None].copy(), WHOLE)
    expected = turned_shapes(layout_waves(picture[None], WHOLE))[:, turn]
    np.testing.assert_allclose(shapes_of(turned), expected, atol=1e-4)


@pytest.mark.parametrize("turn", TURNS)
def test_features_stay_when_a_picture_is_turned(turn: int) -> None:
    picture = thumbnail(4)
    both = np.stack([picture, turn_image(picture, turn)])
    one, other = turnless_features(layout_waves(both, WHOLE))
    np.testing.assert_allclose(one, other, atol=0.01)


def test_eight_turns_give_eight_pictures() -> None:
    pixels = np.arange(12).reshape(2, 2, 3)
    assert len({turn_image(pixels, turn).tobytes() for turn in TURNS}) == 8


def test_a_window_is_seen_like_the_picture_that_was_cut_out() -> None:
    picture = thumbnail(5)
    window = (0.25, 0.0, 0.25, 0.5)
    cut = np.repeat(np.repeat(picture[:24, 12:36], 2, axis=0), 2, axis=1)
    seen = layout_waves(picture[None], window)
    np.testing.assert_allclose(seen, layout_waves(cut[None], WHOLE), atol=0.05)
