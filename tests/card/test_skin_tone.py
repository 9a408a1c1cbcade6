"""The angle is that of the formula, of the skin and not of the lesion, or there is none."""

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_melanoma.card.traits import (
    class_of_angle,
    measure_typology_angle,
    to_lab,
)

LIGHT, BROWN = (235, 200, 180), (120, 80, 55)


def plain(colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    return np.full((224, 224, 3), colour, np.uint8)


@pytest.mark.parametrize(
    ("colour", "lab"),
    [
        # Published coordinates of sRGB colours under D65.
        ((255, 255, 255), (100.0, 0.0, 0.0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((0, 0, 0), (0.0, 0.0, 0.0)),
    ],
)
def test_colours_have_their_published_lab_coordinates(
    colour: tuple[int, int, int], lab: tuple[float, float, float]
) -> None:
    assert to_lab(np.array([colour]))[0] == pytest.approx(lab, abs=0.02)


@pytest.mark.parametrize("colour", [LIGHT, BROWN])
def test_the_angle_is_that_of_the_formula(colour: tuple[int, int, int]) -> None:
    lightness, _, yellow = to_lab(np.array([colour]))[0]
    expected = np.degrees(np.arctan((lightness - 50) / yellow))
    assert measure_typology_angle(plain(colour)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("angle", "tone"),
    [
        (56, "very light"),
        (55, "light"),
        (41.1, "light"),
        (41, "intermediate"),
        (28, "tan"),
        (10, "brown"),
        (-29, "brown"),
        (-30, "dark"),
    ],
)
def test_classes_have_the_published_bounds(angle: float, tone: str) -> None:
    assert class_of_angle(angle) == tone


def test_a_lesion_over_part_of_the_ring_hairs_and_black_corners_do_not_matter() -> None:
    pixels = plain(LIGHT)
    pixels[:, :90] = BROWN
    pixels[::7] = (40, 30, 25)
    rows, columns = np.ogrid[:224, :224]
    pixels[np.hypot(rows - 111.5, columns - 111.5) > 120] = 3
    assert measure_typology_angle(pixels) == measure_typology_angle(plain(LIGHT))


def test_no_angle_without_skin_in_the_ring() -> None:
    pixels = plain(LIGHT)
    rows, columns = np.ogrid[:224, :224]
    pixels[np.hypot(rows - 111.5, columns - 111.5) > 80] = 3
    assert measure_typology_angle(pixels) is None


def test_no_angle_under_a_violet_cast_where_the_formula_would_call_it_dark() -> None:
    assert measure_typology_angle(plain((220, 180, 230))) is None
