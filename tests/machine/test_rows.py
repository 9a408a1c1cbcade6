"""Rows on disk give what an array of them would give; stored ones are found by their keys."""

import tempfile
from pathlib import Path

import numpy as np
import pytest

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.rows import ChosenRows, RowsOnDisk, RowStore

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
    shares = ChosenRows(rows, np.array([2, 0]), "share")
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


def keys(*letters: str) -> list[str]:
    return [64 * letter for letter in letters]


def stored(path: Path | None) -> RowStore:
    return RowStore((np.uint8, (3, 2)), path)


@pytest.mark.parametrize("file", ["rows", None])
def test_stored_rows_are_found_by_their_keys(tmp_path: Path, file: str | None) -> None:
    store = stored(tmp_path / "store" / file if file else None)
    store.append(keys("a", "b"), ARRAY[:2])
    store.append(keys("c"), ARRAY[2:3])
    places = store.places(keys("c", "a", "c"))
    np.testing.assert_array_equal(store.rows[places], ARRAY[[2, 0, 2]])
    assert keys("b")[0] in store
    assert keys("d")[0] not in store
    assert None not in store


def test_two_stores_of_one_file_learn_of_each_others_rows(tmp_path: Path) -> None:
    one, other = stored(tmp_path / "rows"), stored(tmp_path / "rows")
    one.append(keys("a"), ARRAY[:1])
    other.append(keys("b"), ARRAY[1:2])
    assert keys("a")[0] in other
    with one.held():
        np.testing.assert_array_equal(one.rows[one.places(keys("b", "a"))], ARRAY[[1, 0]])


@pytest.mark.parametrize(("file", "left_over"), [("rows", 5), ("index.txt", 64)])
def test_what_a_killed_process_wrote_in_part_is_cut_off(
    tmp_path: Path, file: str, left_over: int
) -> None:
    stored(tmp_path / "rows").append(keys("a", "b"), ARRAY[:2])
    with (tmp_path / file).open("rb+") as stream:
        stream.truncate((tmp_path / file).stat().st_size // 2 + left_over)
    store = stored(tmp_path / "rows")
    assert [key in store for key in keys("a", "b")] == [True, False]
    store.append(keys("c"), ARRAY[3:])
    again = stored(tmp_path / "rows")
    np.testing.assert_array_equal(again.rows[again.places(keys("a", "c"))], ARRAY[[0, 3]])


def test_a_store_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    with pytest.raises(EdgeMelanomaError, match="rows cannot be written: Is a directory; free the"):
        stored(tmp_path / "rows")
