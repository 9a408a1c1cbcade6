"""The centre square of a picture."""

import numpy as np
import pytest

from edge_melanoma.data.crops import Crop


@pytest.mark.parametrize(
    ("height", "width", "top", "left"), [(5, 8, 0, 1), (8, 5, 1, 0), (6, 9, 0, 1), (7, 7, 0, 0)]
)
def test_the_largest_square_begins_at_half_of_what_is_left_over(
    height: int, width: int, top: int, left: int
) -> None:
    pixels = np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)
    side = min(height, width)
    cropped = Crop.CENTRE.apply(pixels)
    np.testing.assert_array_equal(cropped, pixels[top : top + side, left : left + side])


def test_no_crop_is_the_whole_frame() -> None:
    pixels = np.zeros((2, 5, 3), dtype=np.uint8)
    assert Crop.NONE.apply(pixels) is pixels
