"""Rows on disk give what an array of them would give."""

import tempfile
from pathlib import Path

import numpy as np
import pytest

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.rows import ChosenRows, FieldOfRows, RowsOnDisk

ARRAY = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)


def on_disk(array: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> RowsOnDisk:
    rows = RowsOnDisk((np.uint8, (3, 2)))
    rows.append(array[:1])
    rows.append(array[1:])
    return rows


def test_slices_and_positions_give_the_rows_of_the_array() -> None:
    rows = on_disk(ARRAY)
    assert len(rows) == 4
    np.testing.assert_array_equal(rows[1:3], ARRAY[1:3])
    positions = np.array([3, 0, 3])
    np.testing.assert_array_equal(rows[positions], ARRAY[positions])


def test_what_was_read_stays_when_rows_are_added() -> None:
    rows = on_disk(ARRAY[:2])
    before = rows[:]
    rows.append(ARRAY[2:])
    np.testing.assert_array_equal(before, ARRAY[:2])
    np.testing.assert_array_equal(rows[:], ARRAY)


def test_no_rows_have_their_shape() -> None:
    assert RowsOnDisk((np.uint8, (3, 2)))[:].shape == (0, 3, 2)


def test_a_field_of_rows_and_some_of_them() -> None:
    pairs = np.array([(1, 2.5), (3, 4.5), (5, 6.5)], dtype=[("count", "i4"), ("share", "f8")])
    rows = RowsOnDisk(pairs.dtype)
    rows.append(pairs)
    shares = ChosenRows(FieldOfRows(rows, "share"), np.array([2, 0]))
    assert len(shares) == 2
    assert shares[:].tolist() == [6.5, 2.5]
    assert shares[np.array([1])].tolist() == [2.5]


def test_a_full_disk_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("There is no /dev/full here")

    def full() -> object:
        return Path("/dev/full").open("r+b", buffering=0)

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(EdgeMelanomaError, match="No space left on device; free its disk or name"):
        on_disk(ARRAY)
