"""Copies of every kind are found and named, other lesions are not, and clusters reach records."""

import shutil
from pathlib import Path

import pytest
from copied_lesions import COPIES, draw, write_lesions

from edge_melanoma.data.copies import search
from edge_melanoma.data.copies.search import (
    CopyKind,
    CopyPair,
    Duplicates,
    find_duplicates,
    mark_clusters,
)
from edge_melanoma.data.lesions import LesionRecord, read_lesions
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


def test_each_kind_of_copy_is_found_and_no_two_lesions_are_taken_for_one(lesions: Path) -> None:
    found = find_duplicates(read_lesions(lesions))
    expected = {
        (f"benign/{seed}.png", f"benign/{name}.png") for seed, name in enumerate(COPIES)
    } | {("benign/7.png", "benign/recompressed.jpg")}
    assert {(pair.first, pair.second) for pair in found.pairs} == expected
    assert {pair.kind for pair in found.pairs} == {CopyKind.NEAR}
    assert set(found.clusters) == expected


def test_equal_bytes_and_equal_pixels_are_told_apart(tmp_path: Path) -> None:
    write_lesions(tmp_path, count=4)
    shutil.copy(tmp_path / "benign/0.png", tmp_path / "benign/same bytes.png")
    draw(1).save(tmp_path / "benign/same pixels.bmp")
    assert find_duplicates(read_lesions(tmp_path)) == Duplicates(
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
    clusters = find_duplicates(read_lesions(tmp_path)).clusters
    assert clusters == (("benign/0.png", "benign/a.png", "benign/b.png", "benign/c.png"),)


def test_one_picture_has_no_copies(tmp_path: Path) -> None:
    draw(0).save(tmp_path / "0.png")
    record = LesionRecord(image_id="0.png", path=tmp_path / "0.png", is_malignant=False)
    assert find_duplicates([record]) == Duplicates(pairs=(), clusters=())


def test_what_was_found_is_kept_and_not_looked_for_again(
    lesions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = read_lesions(lesions)
    first = find_duplicates(records, cache_folder=tmp_path)
    monkeypatch.delattr(search, "find_guesses")
    assert find_duplicates(records, cache_folder=tmp_path) == first


def test_records_carry_the_first_id_of_their_cluster() -> None:
    records = [LesionRecord(image_id=name, path=Path(name), is_malignant=False) for name in "abcd"]
    duplicates = Duplicates(pairs=(), clusters=(("a", "c"),))
    clusters = [record.cluster for record in mark_clusters(records, duplicates)]
    assert clusters == ["a", None, "a", None]


def test_progress_goes_to_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_lesions(tmp_path, count=4)
    find_duplicates(read_lesions(tmp_path), reporter=TerminalReporter())
    assert capsys.readouterr().out == ""
