"""What is measured of a picture, on pictures whose numbers are known."""

import io

import numpy as np
import pytest
from copied_lesions import noise
from PIL import Image

from edge_melanoma.data.statistics import TrivialStatistics, measure_picture


def measured(image: Image.Image, **how: int) -> TrivialStatistics:
    """As PNG, or as JPEG with a quality."""
    stream = io.BytesIO()
    image.save(stream, "JPEG" if how else "PNG", **how)
    return measure_picture(np.asarray(image), data=stream.getvalue())


def test_a_plain_picture_has_its_colour_and_no_contrast() -> None:
    plain = measured(Image.new("RGB", (40, 20), (10, 20, 60)))
    assert plain[:5] == (10, 20, 60, 22, 0)
    assert (plain.corner_brightness, plain.border_brightness, plain.sharpness) == (22, 0, 0)
    assert (plain.width, plain.height, plain.aspect) == (40, 20, 2)


def test_black_corners_and_a_dark_border_are_seen() -> None:
    pixels = np.full((100, 100, 3), 200, np.uint8)
    pixels[:10] = pixels[-10:] = pixels[:, :10] = pixels[:, -10:] = 0
    framed = measured(Image.fromarray(pixels))
    assert framed.corner_brightness == 0
    assert framed.border_brightness == pytest.approx(-128)


def test_a_blurred_picture_is_less_sharp() -> None:
    sharp = noise(0)
    assert measured(sharp.resize((16, 16)).resize((64, 64))).sharpness < measured(sharp).sharpness


@pytest.mark.parametrize("quality", [30, 60, 75, 90])
def test_the_quality_of_a_jpeg_is_read_from_its_table(quality: int) -> None:
    assert measured(noise(0), quality=quality).jpeg_quality == pytest.approx(quality, abs=1)


def test_a_file_without_loss_has_quality_100() -> None:
    assert measured(noise(0)).jpeg_quality == 100


def test_one_pixel_is_measured_too() -> None:
    assert measured(Image.new("RGB", (1, 1), (9, 9, 9))).brightness == 9
