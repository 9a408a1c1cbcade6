"""Which pictures calibrate: the training side's, as many of each class, byte for byte."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_melanoma.converters import calibration
from edge_melanoma.converters.calibration import (
    CalibrationSet,
    draw_calibration_set,
)
from edge_melanoma.data.images import decode_image, read_image_bytes
from edge_melanoma.data.lesions import LesionRecord, count_classes
from edge_melanoma.data.listing import read_lesions
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import sha256_of

IN_TRAINING = 12
PIXELS = np.zeros((2, 224, 224, 3), np.uint8)


@pytest.fixture
def records(tmp_path: Path) -> tuple[LesionRecord, ...]:
    """15 pictures of each class, each of its own grey: benign 0..14, malignant 100..114."""
    for name, first in (("benign", 0), ("malignant", 100)):
        (tmp_path / name).mkdir()
        for number in range(15):
            grey = (first + number,) * 3
            Image.new("RGB", (8, 8), grey).save(tmp_path / name / f"{number:02}.png")
    return read_lesions(tmp_path)


def with_few_benign(records: tuple[LesionRecord, ...], count: int) -> tuple[LesionRecord, ...]:
    """`records` with the first `count` benign pictures alone."""
    return tuple(
        record
        for record in records
        if record.is_malignant or int(Path(record.image_id).stem) < count
    )


@pytest.fixture
def split(records: tuple[LesionRecord, ...]) -> dict[str, Any]:
    """The first 12 of each class train, the last 3 are for the test."""
    train = [r.image_id for r in records if int(Path(r.image_id).stem) < IN_TRAINING]
    return {
        "train": train,
        "test": [r.image_id for r in records if r.image_id not in train],
        "sha256": {r.image_id: sha256_of(read_image_bytes(r.path)) for r in records},
    }


def ids(calibration: CalibrationSet) -> list[str]:
    return [record.image_id for record in calibration.records]


@pytest.mark.parametrize(("images", "benign", "malignant"), [(20, 10, 10), (11, 5, 6)])
def test_both_classes_calibrate_in_equal_number_an_odd_one_being_malignant(
    records: tuple[LesionRecord, ...],
    split: dict[str, Any],
    images: int,
    benign: int,
    malignant: int,
) -> None:
    told = draw_calibration_set(records, split=split, images=images, seed=0).as_dict()
    assert (told["images"], told["benign"], told["malignant"]) == (images, benign, malignant)
    assert len(set(told["ids"])) == images


def test_the_whole_training_side_calibrates_and_nothing_else(
    records: tuple[LesionRecord, ...], split: dict[str, Any]
) -> None:
    calibration = draw_calibration_set(records, split=split, images=24, seed=0)
    assert sorted(ids(calibration)) == sorted(split["train"])


def test_the_seed_alone_decides_which_pictures_are_drawn(
    records: tuple[LesionRecord, ...], split: dict[str, Any]
) -> None:
    first, again, other = (
        ids(draw_calibration_set(records, split=split, images=10, seed=seed)) for seed in (1, 1, 2)
    )
    assert first == again
    assert set(first) != set(other)


def test_the_manifest_names_every_picture_with_its_hash(
    records: tuple[LesionRecord, ...], split: dict[str, Any]
) -> None:
    told = draw_calibration_set(records, split=split, images=10, seed=7).as_dict()
    assert told["sha256"] == [split["sha256"][image_id] for image_id in told["ids"]]
    assert (told["seed"], told["pinned"]) == (7, ["all black", "all white"])


def test_black_and_white_come_first_and_pin_the_range(
    records: tuple[LesionRecord, ...], split: dict[str, Any]
) -> None:
    calibration = draw_calibration_set(records, split=split, images=10, seed=0)
    inputs = list(calibration.inputs())
    assert [array.shape for array in inputs] == [(1, 224, 224, 3)] * 12
    assert {array.dtype for array in inputs} == {np.dtype(np.float32)}
    assert [(array.min(), array.max()) for array in inputs[:2]] == [(0.0, 0.0), (1.0, 1.0)]
    greys = [np.unique(array * 255).round().tolist() for array in inputs[2:]]
    is_malignant = [record.is_malignant for record in calibration.records]
    assert greys == [
        [int(Path(record.image_id).stem) + 100 * malignant]
        for record, malignant in zip(calibration.records, is_malignant, strict=True)
    ]


def test_means_are_measured_on_the_images_alone(
    records: tuple[LesionRecord, ...], split: dict[str, Any]
) -> None:
    calibration = draw_calibration_set(records, split=split, images=20, seed=0)
    batches = list(calibration.batches())
    assert [batch.shape for batch in batches] == [(16, 224, 224, 3), (4, 224, 224, 3)]
    inputs = np.concatenate(list(calibration.inputs())[2:])
    assert np.array_equal(np.concatenate(batches), inputs)


@pytest.mark.parametrize(
    ("benign", "images", "sentence"),
    [
        (
            12,
            9,
            "--calibration-images is 9; expected at least 10, and 200 or more for a model that is "
            "used.",
        ),
        (
            12,
            26,
            "--calibration-images 26 asks for more than the training side has in equal number of "
            "each class; give at most 24.",
        ),
        (
            6,
            16,
            "--calibration-images 16 asks for more than the training side has in equal number of "
            "each class; give at most 12.",
        ),
        (
            4,
            None,
            "The training side has 4 benign and 12 malignant images; calibrating takes 5 of each "
            "at least. Train on more, or export with --quantize none, which takes none.",
        ),
    ],
    ids=["few", "many", "rare class", "handful"],
)
def test_a_number_that_cannot_be_drawn_is_refused(
    records: tuple[LesionRecord, ...],
    split: dict[str, Any],
    benign: int,
    images: int | None,
    sentence: str,
) -> None:
    few = with_few_benign(records, benign)
    with pytest.raises(EdgeMelanomaError) as caught:
        draw_calibration_set(few, split=split, images=images, seed=0)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("benign", [6, 12])
def test_where_no_number_is_asked_for_a_small_training_side_gives_what_it_has(
    records: tuple[LesionRecord, ...], split: dict[str, Any], benign: int
) -> None:
    few = with_few_benign(records, benign)
    drawn = draw_calibration_set(few, split=split, images=None, seed=0)
    assert count_classes(drawn.records) == (benign, benign)


def test_a_picture_that_was_changed_is_refused(
    records: tuple[LesionRecord, ...], split: dict[str, Any]
) -> None:
    path = next(
        Path(str(record.path)) for record in records if record.image_id == "malignant/05.png"
    )
    Image.new("RGB", (8, 8), "red").save(path)
    with pytest.raises(EdgeMelanomaError) as caught:
        draw_calibration_set(records, split=split, images=24, seed=0)
    assert str(caught.value) == (f"The image {path} has changed since the training; restore it.")


def test_sets_of_other_places_share_no_picture_and_are_as_large(
    records: tuple[LesionRecord, ...], split: dict[str, Any]
) -> None:
    """12 of each class: two sets of 5 and 6, but no third one."""
    sets = [
        draw_calibration_set(records, split=split, images=11, seed=5, place=place)
        for place in range(2)
    ]
    drawn = [image_id for part in sets for image_id in ids(part)]
    assert len(set(drawn)) == len(drawn) == 22
    assert set(drawn) <= set(split["train"])
    assert [count_classes(part.records) for part in sets] == [(5, 6)] * 2
    assert sets[0] == draw_calibration_set(records, split=split, images=11, seed=5)
    with pytest.raises(EdgeMelanomaError, match="asks for more than the training side has"):
        draw_calibration_set(records, split=split, images=11, seed=5, place=2)


def test_every_picture_is_decoded_once_however_often_it_is_asked_for(
    records: tuple[LesionRecord, ...], split: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []

    def decode(data: bytes, *, name: str) -> NDArray[np.uint8]:
        decoded.append(name)
        return decode_image(data, name=name)

    monkeypatch.setattr(calibration, "decode_image", decode)
    drawn = draw_calibration_set(records, split=split, images=20, seed=0)
    for record in drawn.records:
        Path(str(record.path)).unlink()
    for _ in range(2):
        assert len(list(drawn.inputs())) == 22
        assert sum(map(len, drawn.batches())) == len(drawn.sample()) == 20
    assert decoded == [str(record.path) for record in drawn.records]


def test_a_calibration_set_of_one_class_is_refused(
    records: tuple[LesionRecord, ...], split: dict[str, Any]
) -> None:
    malignant = tuple(record for record in records if record.is_malignant)[:2]
    with pytest.raises(EdgeMelanomaError) as caught:
        CalibrationSet(records=malignant, pixels=PIXELS, seed=0, training_hashes=split["sha256"])
    assert str(caught.value) == (
        "The calibration set has 0 benign and 2 malignant images; it needs both classes."
    )


def test_a_picture_of_the_test_side_may_not_calibrate(
    records: tuple[LesionRecord, ...], split: dict[str, Any]
) -> None:
    hashes = {image_id: split["sha256"][image_id] for image_id in split["train"]}
    both = (records[0], records[-1])
    with pytest.raises(EdgeMelanomaError) as caught:
        CalibrationSet(records=both, pixels=PIXELS, seed=0, training_hashes=hashes)
    assert str(caught.value) == (
        "malignant/14.png is not an image of the run's training side; only those may calibrate."
    )
