"""What is learned from holds no copy of what it is judged on."""

from pathlib import Path

import numpy as np
import pytest
from copied_lesions import COPIES, draw, write_lesions

from edge_melanoma.data import screening
from edge_melanoma.data.copies.search import split_without_copies
from edge_melanoma.data.images import decode_image
from edge_melanoma.data.lesions import read_lesions
from edge_melanoma.data.screening import read_fingerprints
from edge_melanoma.data.splits import DatasetSplit, SplitKind
from edge_melanoma.machine.terminal import TerminalReporter


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
