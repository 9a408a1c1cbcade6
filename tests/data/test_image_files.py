"""Pictures are found by what tables call them, and by what a person types."""

import os
from pathlib import Path, PurePosixPath

import pytest

from edge_melanoma.data.image_files import PictureIndex, find_pictures, find_root, side_of
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.terminal import SilentReporter, TerminalReporter


def make_files(folder: Path, *names: str) -> Path:
    """Files that hold their own names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


FILES = ("a.jpg", "sub/a.jpg", "sub/deep/a.jpg", "B.PNG", "part/ISIC_0000001_downsampled.jpg")


@pytest.mark.parametrize(
    ("word", "file"),
    [
        ("a.jpg", "a.jpg"),
        ("./a.jpg", "a.jpg"),
        ("sub/a.jpg", "sub/a.jpg"),
        ("SUB\\A.JPG", "sub/a.jpg"),
        (r"C:\clinic\sub\deep\a.jpg", "sub/deep/a.jpg"),
        ("/home/anna/sub/deep/a.jpg", "sub/deep/a.jpg"),
        ("b", "B.PNG"),
        ("b.jpg", "B.PNG"),
        ("b.v2", None),
        ("ISIC_0000001_downsampled", "part/ISIC_0000001_downsampled.jpg"),
        ("ISIC_0000001", None),
        ("", None),
    ],
)
def test_a_picture_is_found_by_path_name_or_id(tmp_path: Path, word: str, file: str | None) -> None:
    index = PictureIndex(make_files(tmp_path, *FILES))
    assert index.find(word, by_name=True) == (file and PurePosixPath(file))


@pytest.mark.parametrize(
    ("word", "file"),
    [
        ("benign/1.jpg", "benign/1.jpg"),
        ("1", "benign/1.jpg"),
        ("deep/2", "x/deep/2.jpg"),
        (r"C:\set\benign\1.jpg", "benign/1.jpg"),
        ("malignant/1.jpg", None),
        ("y/deep/2.jpg", None),
    ],
)
def test_a_path_of_other_folders_is_another_picture_unless_names_are_enough(
    tmp_path: Path, word: str, file: str | None
) -> None:
    index = PictureIndex(make_files(tmp_path, "benign/1.jpg", "x/deep/2.jpg"))
    assert index.find(word, by_name=False) == (file and PurePosixPath(file))
    assert index.find(word, by_name=True) is not None


def test_of_equal_names_one_is_taken_where_the_files_are_copies(tmp_path: Path) -> None:
    for name in ("HAM_1/x.jpg", "ham_1/x.jpg"):
        make_files(tmp_path, name)
        (tmp_path / name).write_bytes(b"the same")
    assert PictureIndex(tmp_path).find("x", by_name=True) == PurePosixPath("HAM_1/x.jpg")


def test_files_of_one_name_that_differ_are_told_apart_by_a_person(tmp_path: Path) -> None:
    index = PictureIndex(make_files(tmp_path, "one/x.jpg", "two/x.jpg"))
    with pytest.raises(EdgeMelanomaError) as caught:
        index.find("x.jpg", by_name=True)
    assert str(caught.value) == (
        f"'x.jpg' may be one/x.jpg or two/x.jpg of {tmp_path}, which differ; name the folder in "
        "the table too."
    )
    assert index.find("two/x.png", by_name=True) == PurePosixPath("two/x.jpg")


@pytest.mark.parametrize(
    ("files", "root"),
    [
        (("benign/a.jpg",), "."),
        (("outer/inner/benign/a.jpg", "outer/readme.txt"), "outer/inner"),
        (("outer/benign/a.jpg", "empty/note.txt"), "outer"),
        (("outer/benign/a.jpg", "a.jpg"), "."),
        (("one/benign/a.jpg", "two/benign/a.jpg"), "."),
        (("other/a.jpg",), "."),
        ((".hidden/benign/a.jpg", "outer/benign/a.jpg"), "outer"),
    ],
)
def test_a_set_begins_in_the_lone_folder_that_has_pictures(
    tmp_path: Path, files: tuple[str, ...], root: str
) -> None:
    make_files(tmp_path, *files)
    assert find_root(tmp_path, lambda folder: (folder / "benign").is_dir()) == tmp_path / root


@pytest.mark.parametrize(
    ("file", "side"),
    [
        ("train/benign/a.jpg", "train"),
        ("Testing/a.jpg", "test"),
        ("benign/VAL/a.jpg", "validation"),
        ("jpeg/valid/test/a.jpg", "validation"),
        ("train.jpg", None),
        ("trains/a.jpg", None),
    ],
)
def test_the_outermost_folder_with_the_name_of_a_side_gives_it(file: str, side: str | None) -> None:
    assert side_of(PurePosixPath(file)) == side


def found(*words: str, recursive: bool = False) -> list[str]:
    return [str(p) for p in find_pictures(words, recursive=recursive, reporter=SilentReporter())]


def test_files_folders_and_patterns_are_pictures_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_files(tmp_path, "b.jpg", "notes.txt", "scans/2.png", "scans/1.jpg", "scans/deep/3.jpg")
    make_files(tmp_path, "scans/notes.txt", "scans/.hidden.jpg", "odd[1].jpg")
    monkeypatch.chdir(tmp_path)
    assert found("b.jpg", "notes.txt", "missing.jpg") == ["b.jpg", "notes.txt", "missing.jpg"]
    assert found("scans", "scans/1.jpg", "b.jpg") == ["scans/1.jpg", "scans/2.png", "b.jpg"]
    assert found("scans", recursive=True) == ["scans/1.jpg", "scans/2.png", "scans/deep/3.jpg"]
    assert found("scans/*.jpg", "*.jpg") == ["scans/1.jpg", "b.jpg", "odd[1].jpg"]
    assert found("**/*.jpg") == ["b.jpg", "odd[1].jpg", "scans/1.jpg", "scans/deep/3.jpg"]
    assert found("odd[1].jpg") == ["odd[1].jpg"]
    assert found("sc*") == ["scans/1.jpg", "scans/2.png"]
    os.symlink("scans", "loop", target_is_directory=True)
    assert found("loop") == ["loop"]


def test_what_means_no_picture_is_told_and_refused_where_nothing_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_files(tmp_path, "a.jpg", "deep/er/b.jpg")
    words = [f"{tmp_path}/deep", f"{tmp_path}/no*.jpg", f"{tmp_path}/a.jpg"]
    assert len(find_pictures(words, recursive=False, reporter=TerminalReporter())) == 1
    told = [
        f"There are no pictures in {word}; --recursive looks into folders inside" for word in words
    ]
    assert capsys.readouterr().err.splitlines() == told[:2]
    with pytest.raises(EdgeMelanomaError) as caught:
        found(*words[:2])
    assert str(caught.value) == f"{told[0]}."
