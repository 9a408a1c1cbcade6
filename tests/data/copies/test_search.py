"""Copies of every kind are found and named, other lesions are not, and no side has another's."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from copied_lesions import COPIES, draw, write_lesions

from edge_melanoma.data import screening
from edge_melanoma.data.copies import search
from edge_melanoma.data.copies.search import (
    CopyKind,
    CopyPair,
    Duplicates,
    find_copies,
    mark_clusters,
    split_without_copies,
)
from edge_melanoma.data.images import decode_image
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.listing import read_lesions
from edge_melanoma.data.screening import read_fingerprints
from edge_melanoma.data.splits import DatasetSplit, SplitKind
from edge_melanoma.machine.terminal import TerminalReporter


@pytest.fixture(scope="module")
def lesions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 lesions, of which seven benign ones have a copy each."""
    folder = tmp_path_factory.mktemp("copies")
    write_lesions(folder, count=40)
    for seed, (name, copy) in enumerate(COPIES.items()):
        copy(draw(seed)).save(folder / f"benign/{name}.png")
    draw(7).save(folder / "benign/recompressed.jpg", quality=40)
    return folder


def copies_of(records: Sequence[LesionRecord], cache: Path | None = None) -> Duplicates:
    prints = read_fingerprints(records, cache_folder=cache, reporter=TerminalReporter())
    return find_copies(prints, cache_folder=cache, reporter=TerminalReporter())


def test_each_kind_of_copy_is_found_and_no_two_lesions_are_taken_for_one(lesions: Path) -> None:
    found = copies_of(read_lesions(lesions))
    expected = {
        (f"benign/{seed}.png", f"benign/{name}.png") for seed, name in enumerate(COPIES)
    } | {("benign/7.png", "benign/recompressed.jpg")}
    assert {(pair.first, pair.second) for pair in found.pairs} == expected
    assert {pair.kind for pair in found.pairs} == {CopyKind.NEAR}
    assert set(found.clusters) == expected


def test_pictures_are_looked_through_from_the_last_to_the_first_of_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another order gives other pairs where windows and pictures change their parts."""
    write_lesions(tmp_path, count=4)
    shutil.copy(tmp_path / "benign/0.png", tmp_path / "benign/same bytes.png")
    records = read_lesions(tmp_path)
    prints = read_fingerprints(records, cache_folder=None, reporter=TerminalReporter())
    seen: list[int] = []

    def note_order(thumbnails: Any, **_: object) -> list[list[int]]:
        seen.extend(thumbnails.chosen)
        return [[]]

    monkeypatch.setattr(search, "find_guesses", note_order)
    monkeypatch.setattr(search, "best_guesses", lambda part: part)
    monkeypatch.setattr(
        search,
        "align_guesses",
        lambda greys, part: np.zeros(0, [("match", np.float32), ("overlap", np.float32)]),
    )
    find_copies(prints, cache_folder=None, reporter=TerminalReporter())
    unique = [prints.pixels.index(pixels) for pixels in dict.fromkeys(reversed(prints.pixels))]
    assert seen == unique
    assert len(seen) == len(records) - 1


def test_equal_bytes_and_equal_pixels_are_told_apart(tmp_path: Path) -> None:
    write_lesions(tmp_path, count=4)
    shutil.copy(tmp_path / "benign/0.png", tmp_path / "benign/same bytes.png")
    draw(1).save(tmp_path / "benign/same pixels.bmp")
    assert copies_of(read_lesions(tmp_path)) == Duplicates(
        pairs=(
            CopyPair(first="benign/0.png", second="benign/same bytes.png", kind=CopyKind.BYTES),
            CopyPair(first="benign/1.png", second="benign/same pixels.bmp", kind=CopyKind.PIXELS),
        ),
        clusters=(
            ("benign/0.png", "benign/same bytes.png"),
            ("benign/1.png", "benign/same pixels.bmp"),
        ),
    )


def test_a_copy_of_a_copy_is_in_the_cluster(tmp_path: Path) -> None:
    write_lesions(tmp_path, count=6)
    shutil.copy(tmp_path / "benign/0.png", tmp_path / "benign/a.png")
    COPIES["mirrored"](draw(0)).save(tmp_path / "benign/b.png")
    shutil.copy(tmp_path / "benign/b.png", tmp_path / "benign/c.png")
    clusters = copies_of(read_lesions(tmp_path)).clusters
    assert clusters == (("benign/0.png", "benign/a.png", "benign/b.png", "benign/c.png"),)


def test_one_picture_has_no_copies(tmp_path: Path) -> None:
    draw(0).save(tmp_path / "0.png")
    record = LesionRecord(image_id="0.png", path=tmp_path / "0.png", is_malignant=False)
    assert copies_of([record]) == Duplicates(pairs=(), clusters=())


def test_what_was_found_is_kept_and_not_looked_for_again(
    lesions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = read_lesions(lesions)
    first = copies_of(records, cache=tmp_path)
    monkeypatch.delattr(search, "find_guesses")
    assert copies_of(records, cache=tmp_path) == first


def test_records_carry_the_first_id_of_their_cluster() -> None:
    records = [LesionRecord(image_id=name, path=Path(name), is_malignant=False) for name in "abcd"]
    duplicates = Duplicates(pairs=(), clusters=(("a", "c"),))
    clusters = [record.cluster for record in mark_clusters(records, duplicates)]
    assert clusters == ["a", None, "a", None]


def test_progress_goes_to_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_lesions(tmp_path, count=4)
    copies_of(read_lesions(tmp_path))
    assert capsys.readouterr().out == ""


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    """A test picture with a mirrored and a cropped copy in train."""
    write_lesions(tmp_path / "train", count=24)
    (tmp_path / "test/malignant").mkdir(parents=True)
    (tmp_path / "test/benign").mkdir()
    draw(0).save(tmp_path / "test/benign/leaked.png")
    draw(90, is_malignant=True).save(tmp_path / "test/malignant/own.png")
    COPIES["cropped"](draw(0)).save(tmp_path / "train/benign/crop.png")
    return tmp_path


def split(folder: Path, kind: SplitKind) -> DatasetSplit:
    cache, reporter = folder / "cache", TerminalReporter()
    prints = read_fingerprints(read_lesions(folder), cache_folder=cache, reporter=reporter)
    return split_without_copies(prints, kind=kind, seed=0, cache_folder=cache, reporter=reporter)


def test_copies_of_a_given_test_picture_do_not_train(
    leaky: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = split(leaky, SplitKind.FOLDERS)
    assert {record.image_id for record in made.left_out} == {
        "train/benign/0.png",
        "train/benign/crop.png",
    }
    assert made.leaked_test == {"test/benign/leaked.png"}
    assert capsys.readouterr().err == (
        "Kept on one side each: 1 clusters of copies, 3 images.\n"
        "Left out of training: 2 images that are in the test folder too, as 1 images there.\n"
    )


def test_pooled_copies_stand_on_one_side(leaky: Path) -> None:
    copies = {"test/benign/leaked.png", "train/benign/0.png", "train/benign/crop.png"}
    sides = split(leaky, SplitKind.POOLED).sides().values()
    held = [copies & {record.image_id for record in side} for side in sides]
    assert sorted(map(len, held)) == [0, 0, 3]


def test_24_pictures_are_decoded_24_times_before_a_first_training_and_then_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lesions(tmp_path / "train", count=24)
    decoded: list[str] = []

    def spy(data: bytes, *, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        decoded.append(name)
        return decode_image(data, name=name)

    monkeypatch.setattr(screening, "decode_image", spy)
    first = split(tmp_path, SplitKind.POOLED)
    assert len(decoded) == len(set(decoded)) == 24
    assert split(tmp_path, SplitKind.POOLED) == first
    assert len(decoded) == 24
