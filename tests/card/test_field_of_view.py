"""The field is what is lit; a dark lesion in it is not the frame."""

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.card.artefacts import find_field, grey_of


def skin() -> NDArray[np.uint8]:
    return np.full((224, 224, 3), (220, 180, 160), np.uint8)


def round_mask(radius: float) -> NDArray[np.bool_]:
    rows, columns = np.ogrid[:224, :224]
    return np.asarray(np.hypot(rows - 111.5, columns - 111.5) < radius)


def test_grey_weighs_green_most() -> None:
    pixels = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert grey_of(pixels).tolist() == [[76, 150, 29]]


def test_plain_skin_is_field_throughout() -> None:
    assert find_field(skin()).all()


def test_black_corners_and_a_margin_are_outside() -> None:
    pixels = skin()
    pixels[~round_mask(100)] = 5
    field = find_field(pixels, margin=8)
    assert field[round_mask(85)].all()
    assert not field[~round_mask(100)].any()


def test_a_black_lesion_inside_counts_as_seen() -> None:
    pixels = skin()
    pixels[round_mask(50)] = 5
    assert find_field(pixels).all()


def test_black_hairs_that_reach_the_frame_are_in_view() -> None:
    pixels = skin()
    pixels[:150, 40:44] = pixels[90:93] = 5
    assert find_field(pixels).all()


def test_a_black_picture_has_no_field() -> None:
    assert not find_field(np.zeros((224, 224, 3), np.uint8)).any()
