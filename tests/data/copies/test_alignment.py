"""The window that a crop was cut from is found again, from a guess that is near it."""

from typing import Any

import numpy as np
from copied_lesions import draw
from numpy.typing import NDArray
from PIL import Image

from edge_melanoma.data.copies.alignment import align_guesses, shrink_greys
from edge_melanoma.data.copies.candidates import best_guesses, find_guesses
from edge_melanoma.machine.terminal import SilentReporter


def align(*images: Image.Image) -> NDArray[Any]:
    """Of two pictures: their only pair."""
    thumbnails = np.stack([np.asarray(i.resize((48, 48), Image.Resampling.BOX)) for i in images])
    (part,) = find_guesses(thumbnails, reporter=SilentReporter())
    pairs = align_guesses(shrink_greys(thumbnails), best_guesses(part[:]))
    assert len(pairs) == 1
    return pairs


def test_the_box_of_a_crop_is_found_to_a_hundredth_of_the_frame() -> None:
    source = draw(3)
    found = align(source, source.crop((22, 11, 202, 190)))
    middle = np.array([(22 + 202) / 2, (11 + 190) / 2]) / 224 - 0.5
    np.testing.assert_allclose(found["centre"][0], middle, atol=0.01)
    np.testing.assert_allclose(found["extent"][0], np.array([180, 179]) / 224, atol=0.01)
    assert found["match"][0] > 0.99


def test_a_whole_copy_lies_inside_entirely() -> None:
    found = align(draw(3), draw(3).resize((100, 100)))
    np.testing.assert_allclose(found["extent"][0], 1, atol=0.01)
    assert found["overlap"][0] > 0.9


def test_a_nearly_symmetric_lesion_is_not_taken_for_its_mirror_image() -> None:
    source = draw(0)
    found = align(source, source.crop((30, 12, 190, 200)))
    np.testing.assert_allclose(found["extent"][0], np.array([160, 188]) / 224, atol=0.01)
    assert found["match"][0] > 0.99
