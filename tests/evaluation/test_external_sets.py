"""A data set from elsewhere is judged without the pictures that the run has learned from."""

from pathlib import Path

import pytest
from made import draw_pictures, picture_id, run_trained_on
from PIL import Image

from edge_melanoma.data import screening
from edge_melanoma.data.images import Pixels, decode_image
from edge_melanoma.data.listing import read_lesions
from edge_melanoma.data.screening import screen_images
from edge_melanoma.data.splits import DatasetSplit, SplitKind
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.judged_pictures import (
    JudgedPictures,
    learned_by_run,
    learned_from_split,
    read_external_set,
    read_external_sets,
)
from edge_melanoma.machine.terminal import SilentReporter, TerminalReporter
from edge_melanoma.runs.models import TrainedModel

SIDES = {"train": (1, 2), "validation": (3,), "test": (5, 4)}
SILENT = SilentReporter()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return draw_pictures(tmp_path / "data", 1, 2, 3, 4, 5)


@pytest.fixture
def run(tmp_path: Path, data: Path) -> TrainedModel:
    return run_trained_on(data, tmp_path / "run", SIDES)


def read(folder: Path, run: TrainedModel) -> JudgedPictures:
    return read_external_set(folder, learned_by_run(run), reporter=TerminalReporter())


def test_pictures_that_the_run_learned_from_are_left_out_under_whatever_name(
    run: TrainedModel, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = draw_pictures(tmp_path / "other", 3, 4, 6, 7)
    (folder / "malignant" / "copy.png").write_bytes((data / picture_id(2)).read_bytes())
    found = read(folder, run)
    assert [record.image_id for record in found.records] == [
        picture_id(7),
        picture_id(4),
        picture_id(6),
    ]
    assert found.left_out == (picture_id(3), "malignant/copy.png")
    assert capsys.readouterr().err == (
        f"Left out 2 of 5 images of other: copies of images that the run {run.folder} learned "
        "from, or of the same lesions.\n"
    )


def test_near_copies_of_what_the_run_learned_from_are_left_out(
    run: TrainedModel, data: Path, tmp_path: Path
) -> None:
    folder = draw_pictures(tmp_path / "other", 6, 7)
    with Image.open(data / picture_id(2)) as picture:
        turned = picture.transpose(Image.Transpose.ROTATE_90).resize((50, 50))
    turned.save(folder / "malignant" / "copy.jpg", quality=90)
    with Image.open(data / picture_id(4)) as picture:
        picture.save(folder / "malignant" / "of the test side.jpg", quality=90)
    found = read_external_set(folder, learned_by_run(run), reporter=SILENT)
    assert found.left_out == ("malignant/copy.jpg",)
    data.rename(data.with_name("elsewhere"))
    assert read_external_set(folder, learned_by_run(run), reporter=SILENT).left_out == ()


def test_what_was_left_out_is_counted_named_and_explained(run: TrainedModel, data: Path) -> None:
    told = read_external_set(data, learned_by_run(run), name="same", reporter=SILENT).as_dict()
    assert told["dataset"].pop("fingerprint")
    assert told == {
        "dataset": {"name": "same", "images": 2, "benign": 1, "malignant": 1, "card": None},
        "left_out": 3,
        "left_out_images": [picture_id(1), picture_id(3), picture_id(2)],
        "compared_by": "bytes and pixels",
    }


def test_without_the_training_folder_copies_are_found_by_their_bytes_and_it_is_said(
    run: TrainedModel, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = draw_pictures(tmp_path / "other", 3, 4, 7)
    data.rename(data.with_name("elsewhere"))
    found = read(folder, run)
    assert (found.left_out, found.compared_by) == ((picture_id(3),), "bytes")
    assert capsys.readouterr().err.splitlines()[1] == (
        f"Not all data folders of the run {run.folder} are still there: copies of its training "
        "images in other were found by bytes."
    )


def test_a_set_that_keeps_one_class_says_what_is_undefined(
    run: TrainedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = read(draw_pictures(tmp_path / "other", 2, 7, 9), run)
    assert [record.is_malignant for record in found.records] == [False, False]
    assert capsys.readouterr().err.splitlines()[1] == (
        "other: recall, precision, F1 and AUC are undefined without malignant images."
    )


def test_of_a_model_of_unknown_origin_nothing_is_left_out_and_it_is_said(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = read_external_set(data, None, reporter=TerminalReporter())
    assert (len(found.records), found.left_out, found.compared_by) == (5, (), "nothing")
    assert capsys.readouterr().err == (
        "It is not known what the model learned from: copies of its training images in data are "
        "not left out.\n"
    )


def test_a_set_of_training_pictures_alone_is_refused(run: TrainedModel, tmp_path: Path) -> None:
    folder = draw_pictures(tmp_path / "other", 2, 3)
    with pytest.raises(EdgeMelanomaError) as caught:
        read(folder, run)
    assert str(caught.value) == (
        f"Every image of {folder} is a copy of one that the run {run.folder} learned from; "
        "give a data set from elsewhere."
    )


def test_unreadable_pictures_of_another_set_are_left_out(tmp_path: Path) -> None:
    folder = draw_pictures(tmp_path / "other", *range(20))
    (folder / "benign" / "empty.png").touch()
    found = read_external_set(folder, None, reporter=SILENT)
    assert {record.image_id for record in found.records} == {
        picture_id(number) for number in range(20)
    }


def test_a_training_learns_from_the_training_and_validation_sides_of_its_split(
    tmp_path: Path,
) -> None:
    records = screen_images(read_lesions(draw_pictures(tmp_path / "data", *range(1, 7)))).readable
    one, three, five, two, four, six = records
    split = DatasetSplit(
        train=(one, two), validation=(three, four), test=(five, six), kind=SplitKind.POOLED, seed=0
    )
    learned = learned_from_split(split)
    (found,) = read_external_sets({"same": tmp_path / "data"}, learned, reporter=SILENT)
    assert found.records == (five, six)


def test_each_picture_is_decoded_once_to_be_compared(
    run: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []

    def decode(data: bytes, *, name: str) -> Pixels:
        decoded.append(name)
        return decode_image(data, name=name)

    monkeypatch.setattr(screening, "decode_image", decode)
    read(draw_pictures(tmp_path / "other", 6, 7), run)
    learned = len(SIDES["train"] + SIDES["validation"])
    assert len(decoded) == len(set(decoded)) == 2 + learned
