"""A run is judged on its own untouched pictures, or on others that it has not learned from."""

import hashlib
import json
from pathlib import Path

import pytest
from PIL import Image

from edge_melanoma.artifacts import TrainedModel
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.progress import SilentReporter, TerminalReporter
from edge_melanoma.run_data import read_external_set, read_run_records, read_test_side

SIDES = {"train": (1, 2), "validation": (3,), "test": (5, 4)}
SILENT = SilentReporter()


def draw(folder: Path, *greys: int) -> Path:
    """A grey picture a number: even ones are malignant."""
    for grey in greys:
        path = folder / ("benign" if grey % 2 else "malignant") / f"{grey}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2), grey).save(path)
    return folder


def image_id(grey: int) -> str:
    return f"{'benign' if grey % 2 else 'malignant'}/{grey}.png"


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return draw(tmp_path / "data", 1, 2, 3, 4, 5)


@pytest.fixture
def run(tmp_path: Path, data: Path) -> TrainedModel:
    """What a run that was trained on `data` leaves beside its weights."""
    folder = tmp_path / "run"
    folder.mkdir()
    split: dict[str, object] = {
        side: [image_id(grey) for grey in greys] for side, greys in SIDES.items()
    }
    split["sha256"] = {image_id(grey): sha256_of(data / image_id(grey)) for grey in range(1, 6)}
    (folder / "split.json").write_text(json.dumps(split), encoding="utf-8")
    manifest = {"dataset": {"folders": {"set": str(data)}}}
    return TrainedModel(folder=folder, variant="frozen", manifest=manifest, sha256="0" * 64)


def test_the_pictures_of_a_run_are_all_of_its_data_folder(run: TrainedModel) -> None:
    found = [record.image_id for record in read_run_records(run)]
    assert found == [image_id(grey) for grey in (1, 3, 5, 2, 4)]


def test_a_data_folder_that_was_moved_is_named(run: TrainedModel, data: Path) -> None:
    data.rename(data.with_name("elsewhere"))
    with pytest.raises(EdgeMelanomaError) as caught:
        read_run_records(run)
    assert str(caught.value) == (
        f"The data folder {data} of the run {run.folder} is not there any more; "
        "put it back, or link it there."
    )


def test_the_test_side_is_that_of_the_split_in_its_order(run: TrainedModel, data: Path) -> None:
    found = read_test_side(run)
    assert [(record.image_id, record.is_malignant) for record in found] == [
        ("benign/5.png", False),
        ("malignant/4.png", True),
    ]
    assert [record.sha256 for record in found] == [sha256_of(record.path) for record in found]


def test_a_missing_test_picture_is_named(run: TrainedModel, data: Path) -> None:
    (data / "malignant" / "4.png").unlink()
    with pytest.raises(EdgeMelanomaError) as caught:
        read_test_side(run)
    assert str(caught.value) == (
        "The test image malignant/4.png is missing from the run's data folder; restore it."
    )


def test_a_changed_test_picture_is_named(run: TrainedModel, data: Path) -> None:
    changed = data / "malignant" / "4.png"
    Image.new("L", (2, 2), 99).save(changed)
    with pytest.raises(EdgeMelanomaError) as caught:
        read_test_side(run)
    assert str(caught.value) == (
        f"The test image malignant/4.png has changed since the training ({changed}); restore it."
    )


def test_a_changed_training_picture_does_not_touch_the_test_side(
    run: TrainedModel, data: Path
) -> None:
    (data / "benign" / "1.png").write_bytes(b"changed")
    assert len(read_test_side(run)) == 2


def test_pictures_that_the_run_learned_from_are_left_out_under_whatever_name(
    run: TrainedModel, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = draw(tmp_path / "other", 3, 4, 6, 7)
    (folder / "malignant" / "copy.png").write_bytes((data / image_id(2)).read_bytes())
    found = read_external_set(folder, run, reporter=TerminalReporter())
    assert [record.image_id for record in found] == [image_id(7), image_id(4), image_id(6)]
    assert capsys.readouterr().err == (
        f"Left out 2 of 5 images of {folder}: the run was trained on them.\n"
    )


def test_nothing_is_left_out_without_a_run(data: Path) -> None:
    assert len(read_external_set(data, None, reporter=SILENT)) == 5


def test_a_set_of_training_pictures_alone_is_refused(run: TrainedModel, tmp_path: Path) -> None:
    folder = draw(tmp_path / "other", 2, 3)
    with pytest.raises(EdgeMelanomaError) as caught:
        read_external_set(folder, run, reporter=SILENT)
    assert str(caught.value) == (
        f"Every image of {folder} was used to train {run.folder}; "
        "without --data the run's own test side is used."
    )


def test_unreadable_pictures_of_another_set_are_left_out(tmp_path: Path) -> None:
    folder = draw(tmp_path / "other", *range(20))
    (folder / "benign" / "empty.png").touch()
    found = read_external_set(folder, None, reporter=SILENT)
    assert {record.image_id for record in found} == {image_id(grey) for grey in range(20)}
