"""Lines close what is narrower than they are and keep what is as long."""

import numpy as np

from edge_melanoma.card.artefacts import close_along, line_at, open_along


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
