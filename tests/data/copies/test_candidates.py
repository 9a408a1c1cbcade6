"""A picture and its copy become a candidate pair, with the turn and the window that fit."""

from collections import Counter
from typing import Any

import numpy as np
from copied_lesions import COPIES, draw
from numpy.typing import NDArray
from PIL import Image

from edge_melanoma.data.copies.candidates import WINDOWS, best_guesses, find_guesses, turn_image
from edge_melanoma.machine.terminal import SilentReporter


def thumbnails(*images: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.stack([np.asarray(i.resize((48, 48), Image.Resampling.BOX)) for i in images])


def only_part(pictures: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> NDArray[Any]:
    (part,) = find_guesses(pictures, reporter=SilentReporter())
    return best_guesses(part[:])


def test_every_kind_of_copy_is_paired_with_its_source() -> None:
    copies = [copy(draw(seed)) for seed, copy in enumerate(COPIES.values())]
    sources = [draw(seed) for seed in range(20)]
    found = only_part(thumbnails(*sources, *copies))
    found_pairs = np.stack([found["first"], found["second"]], axis=1).tolist()
    pairs = {frozenset(pair) for pair in found_pairs}
    assert {frozenset((n, 20 + n)) for n in range(len(copies))} <= pairs


def test_the_turn_of_a_whole_copy_is_found() -> None:
    source = thumbnails(draw(1))[0]
    pictures = np.stack([source, turn_image(source, 6), *thumbnails(draw(8), draw(9))])
    found = only_part(pictures)
    pair = next(n for n in range(len(found)) if {found["first"][n], found["second"][n]} == {0, 1})
    assert WINDOWS[found["window"][pair]] == (0, 0, 0, 0)
    seen = turn_image(pictures[found["second"][pair]], int(found["turn"][pair]))
    np.testing.assert_array_equal(pictures[found["first"][pair]], seen)


def test_no_pair_has_more_than_three_guesses_and_no_guess_is_given_twice() -> None:
    found = only_part(thumbnails(*map(draw, range(12))))
    pairs = Counter(
        frozenset(pair) for pair in np.stack([found["first"], found["second"]], axis=1).tolist()
    )
    assert max(pairs.values()) <= 3
    guesses = np.stack([found["first"], found["second"], found["turn"]], axis=1)
    assert len(np.unique(guesses, axis=0)) == len(guesses)


def test_two_pictures_can_be_compared() -> None:
    found = only_part(thumbnails(draw(0), draw(0)))
    assert found["agreement"][0].round(3) == 1
