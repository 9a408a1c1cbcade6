"""What is drawn onto plain skin is found, and nothing else is."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from edge_melanoma.card.artefacts import (
    LIMITS,
    close_along,
    find_artefacts,
    find_field,
    grey_of,
    line_at,
    longest_even_row,
    measure_artefacts,
    open_along,
)

SKIN, LESION, DARK = (225, 185, 165), (120, 75, 60), (60, 45, 40)


def make_skin(*, seed: int = 0) -> Image.Image:
    """Skin with a grain, a sharp lesion in the middle and nothing over it."""
    picture = Image.new("RGB", (224, 224), SKIN)
    ImageDraw.Draw(picture).ellipse((82, 82, 142, 142), fill=LESION)
    grain = np.random.default_rng(seed).normal(0, 2, (224, 224, 1))
    return Image.fromarray((np.asarray(picture) + grain).clip(0, 255).astype(np.uint8))


def draw_hairs(picture: Image.Image, *, count: int) -> Image.Image:
    draw, random = ImageDraw.Draw(picture), np.random.default_rng(1)
    for _ in range(count):
        (left, right), top = random.uniform(0, 224, 2), random.uniform(0, 60)
        draw.line((left, top, right, top + 150), fill=DARK, width=2)
    return picture


def draw_ruler(picture: Image.Image, *, strokes: int, gap: float, angle: float) -> Image.Image:
    ruler = Image.new("L", (224, 224), 0)
    draw = ImageDraw.Draw(ruler)
    for number in range(strokes):
        column = 20 + number * gap
        draw.line((column, 100, column, 112), fill=255, width=2)
    turned = ruler.rotate(angle, Image.Resampling.BILINEAR)
    # Away from the lesion, which lies in the middle.
    shifted = Image.fromarray(np.roll(np.asarray(turned), 70, axis=0))
    picture.paste(DARK, mask=shifted)
    return picture


def found(picture: Image.Image) -> set[str]:
    return set(find_artefacts(np.asarray(picture)))


def test_plain_skin_with_a_lesion_has_no_artefact() -> None:
    assert found(make_skin()) == set()


def test_hairs_are_found_and_a_few_are_not() -> None:
    assert found(draw_hairs(make_skin(), count=25)) == {"hair"}
    assert found(draw_hairs(make_skin(), count=1)) == set()


@pytest.mark.parametrize("angle", [0.0, 24.0])
def test_equally_spaced_strokes_are_a_ruler_whichever_way_they_lie(angle: float) -> None:
    assert found(draw_ruler(make_skin(), strokes=12, gap=11, angle=angle)) == {"ruler marks"}


def test_few_strokes_are_no_ruler() -> None:
    assert found(draw_ruler(make_skin(), strokes=6, gap=11, angle=0)) == set()


@pytest.mark.parametrize("colour", [(90, 40, 170), (40, 80, 190)])
def test_violet_and_blue_pen_beside_the_lesion_is_ink(colour: tuple[int, int, int]) -> None:
    picture = make_skin()
    ImageDraw.Draw(picture).ellipse((14, 14, 44, 44), fill=colour)
    assert found(picture) == {"ink"}


def test_a_blue_lesion_in_the_middle_is_no_ink() -> None:
    picture = make_skin()
    ImageDraw.Draw(picture).ellipse((82, 82, 142, 142), fill=(40, 80, 190))
    assert found(picture) == set()


def test_a_blue_cast_over_the_whole_picture_is_no_ink() -> None:
    pixels = np.asarray(make_skin()).copy()
    pixels[..., 2] = 255
    pixels[..., 0] //= 2
    assert "ink" not in found(Image.fromarray(pixels))


def black_outside(picture: Image.Image, *, radius: int) -> Image.Image:
    mask = Image.new("L", picture.size, 255)
    ImageDraw.Draw(mask).ellipse((112 - radius, 112 - radius, 112 + radius, 112 + radius), fill=0)
    picture.paste((4, 4, 4), mask=mask)
    return picture


def test_a_round_field_has_dark_corners() -> None:
    assert found(black_outside(make_skin(), radius=105)) == {"dark corners"}
    assert found(black_outside(make_skin(), radius=170)) == set()


def test_two_dark_corners_are_not_a_round_field() -> None:
    picture = make_skin()
    ImageDraw.Draw(picture).rectangle((0, 0, 224, 30), fill=(4, 4, 4))
    assert "dark corners" not in found(picture)


def test_a_blurred_picture_is_found() -> None:
    sharp = Image.new("RGB", (224, 224), SKIN)
    ImageDraw.Draw(sharp).ellipse((62, 62, 162, 162), fill=LESION)
    assert found(sharp.filter(ImageFilter.GaussianBlur(6))) == {"blur"}
    assert found(sharp) == set()


def test_a_black_picture_has_dark_corners_and_no_number_that_is_undefined() -> None:
    black = np.zeros((224, 224, 3), np.uint8)
    assert find_artefacts(black) == {"dark corners"}
    assert measure_artefacts(black)["dark corners"] == 1.0


def test_each_artefact_has_a_number_and_a_limit() -> None:
    assert set(measure_artefacts(np.asarray(make_skin()))) == set(LIMITS)


@pytest.mark.parametrize(
    ("places", "longest"),
    [
        ([0, 10, 20, 30], 4),
        ([0, 10, 21, 31, 40], 4),  # 10, 11, 10; 9 is two away from 11
        ([0, 20, 41, 60, 79], 5),  # from 14 on two pixels
        ([0, 3, 6, 9], 0),  # nearer than strokes are
        ([0, 10, 20, 60, 70, 80, 90], 4),
        ([5], 0),
    ],
)
def test_even_rows_are_counted_by_their_gaps(places: list[int], longest: int) -> None:
    assert longest_even_row(np.array(places, dtype=np.intp)) == longest


def make_noise(seed: int) -> NDArray[np.uint8]:
    grain = np.random.default_rng(seed).normal(0, 12, (224, 224, 3))
    return (np.array(SKIN) + grain).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_neither_hair_nor_ruler(seed: int) -> None:
    assert find_artefacts(make_noise(seed)) == frozenset()


def plain_skin() -> NDArray[np.uint8]:
    return np.full((224, 224, 3), (220, 180, 160), np.uint8)


def round_mask(radius: float) -> NDArray[np.bool_]:
    rows, columns = np.ogrid[:224, :224]
    return np.asarray(np.hypot(rows - 111.5, columns - 111.5) < radius)


def test_grey_weighs_green_most() -> None:
    pixels = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert grey_of(pixels).tolist() == [[76, 150, 29]]


def test_plain_skin_is_field_throughout() -> None:
    assert find_field(plain_skin()).all()


def test_black_corners_and_a_margin_are_outside() -> None:
    pixels = plain_skin()
    pixels[~round_mask(100)] = 5
    field = find_field(pixels, margin=8)
    assert field[round_mask(85)].all()
    assert not field[~round_mask(100)].any()


def test_a_black_lesion_inside_counts_as_seen() -> None:
    pixels = plain_skin()
    pixels[round_mask(50)] = 5
    assert find_field(pixels).all()


def test_black_hairs_that_reach_the_frame_are_in_view() -> None:
    pixels = plain_skin()
    pixels[:150, 40:44] = pixels[90:93] = 5
    assert find_field(pixels).all()


def test_a_black_picture_has_no_field() -> None:
    assert not find_field(np.zeros((224, 224, 3), np.uint8)).any()


def test_lines_run_along_rows_columns_and_diagonals() -> None:
    assert line_at(0.0, length=3) == ((0, -1), (0, 0), (0, 1))
    assert line_at(0.5, length=3) == ((-1, 0), (0, 0), (1, 0))
    assert line_at(0.25, length=5) == ((-1, -1), (0, 0), (1, 1))


def test_closing_fills_a_stroke_across_the_line_and_not_one_along_it() -> None:
    pixels = np.full((9, 9), 200, np.uint8)
    pixels[:, 4] = 50
    assert (close_along(pixels, line_at(0.0, length=5)) == 200).all()
    assert np.array_equal(close_along(pixels, line_at(0.5, length=5)), pixels)


def test_closing_keeps_what_is_wider_than_the_line() -> None:
    pixels = np.full((9, 15), 200, np.uint8)
    pixels[:, 5:11] = 50
    assert np.array_equal(close_along(pixels, line_at(0.0, length=5)), pixels)


def test_opening_keeps_runs_that_are_as_long_as_the_line() -> None:
    mask = np.zeros((3, 20), bool)
    mask[1, 2:6] = True
    mask[1, 10:17] = True
    kept = open_along(mask, line_at(0.0, length=5))
    assert np.flatnonzero(kept[1]).tolist() == list(range(10, 17))
    assert not kept[[0, 2]].any()
