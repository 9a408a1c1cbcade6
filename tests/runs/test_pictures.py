"""A run is judged on its own untouched pictures."""

from pathlib import Path

import pytest
from made import draw_pictures, picture_id, run_trained_on
from PIL import Image

from edge_melanoma.data.images import read_image_bytes
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import sha256_of
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.runs.pictures import (
    describe_own_side,
    find_run_records,
    leaked_test_of,
    read_run_records,
    read_side,
)

SIDES = {"train": (1, 2), "validation": (3,), "test": (5, 4)}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return draw_pictures(tmp_path / "data", 1, 2, 3, 4, 5)


@pytest.fixture
def run(tmp_path: Path, data: Path) -> TrainedModel:
    return run_trained_on(data, tmp_path / "run", SIDES)


def test_the_pictures_of_a_run_are_all_of_its_data_folder(run: TrainedModel) -> None:
    found = [record.image_id for record in read_run_records(run)]
    assert found == [picture_id(number) for number in (1, 3, 5, 2, 4)]


def test_a_data_folder_that_was_moved_is_named(run: TrainedModel, data: Path) -> None:
    data.rename(data.with_name("elsewhere"))
    with pytest.raises(EdgeMelanomaError) as caught:
        read_run_records(run)
    assert str(caught.value) == (
        f"The data folder {data} of the run {run.folder} is not there any more; "
        "put it back, or link it there."
    )


def test_the_test_side_is_that_of_the_split_in_its_order(run: TrainedModel, data: Path) -> None:
    found = read_side(run, "test")
    assert [(record.image_id, record.is_malignant) for record in found] == [
        ("benign/5.png", False),
        ("malignant/4.png", True),
    ]
    assert [record.sha256 for record in found] == [
        sha256_of(read_image_bytes(record.path)) for record in found
    ]


def test_a_missing_test_picture_is_named(run: TrainedModel, data: Path) -> None:
    (data / "malignant" / "4.png").unlink()
    with pytest.raises(EdgeMelanomaError) as caught:
        read_side(run, "test")
    assert str(caught.value) == (
        "The test image malignant/4.png is missing from the run's data folder; restore it."
    )


def test_a_changed_test_picture_is_named(run: TrainedModel, data: Path) -> None:
    changed = data / "malignant" / "4.png"
    Image.new("L", (2, 2), 99).save(changed)
    with pytest.raises(EdgeMelanomaError) as caught:
        read_side(run, "test")
    assert str(caught.value) == (
        f"The test image malignant/4.png has changed since the training ({changed}); restore it."
    )


def test_a_changed_training_picture_does_not_touch_the_test_side(
    run: TrainedModel, data: Path
) -> None:
    (data / "benign" / "1.png").write_bytes(b"changed")
    assert len(read_side(run, "test")) == 2


def test_pictures_whose_folder_is_gone_cannot_be_found(run: TrainedModel, data: Path) -> None:
    assert len(find_run_records(run)) == 5
    data.rename(data.with_name("elsewhere"))
    assert find_run_records(run) == ()


def test_an_own_side_has_the_card_that_the_training_read(run: TrainedModel) -> None:
    card = {"licence": "CC0"}
    run.manifest["dataset"].update(card=card)
    told = describe_own_side(run, "test", read_side(run, "test"))
    assert {name: told[name] for name in ("name", "images", "malignant", "card")} == {
        "name": "set, test side",
        "images": 2,
        "malignant": 1,
        "card": card,
    }


def test_a_split_says_which_of_its_test_pictures_leak() -> None:
    assert leaked_test_of({"leaked_test": ["a.png"]}) == ("a.png",)
    assert leaked_test_of({}) == ()
