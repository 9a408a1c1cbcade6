"""Each classic mistake on pictures and levels that can be counted."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tflite_files import mean_model

from edge_melanoma.benchmarks.studies.mistakes import (
    COLUMNS,
    CORRECT,
    MISTAKES,
    mistake_section,
    price_mistakes,
)
from edge_melanoma.data.images import resize_image
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.runtime.interpreters import SessionSettings
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.tflite.quantization import TensorQuantization

FLOAT = TensorQuantization(dtype="float32", scale=0.0, zero_point=0)
INT8 = TensorQuantization(dtype="int8", scale=1 / 255, zero_point=-128)
UINT8 = TensorQuantization(dtype="uint8", scale=1 / 255, zero_point=0)
LEVELS = [0, 1, 127, 128, 255]
RIGHT = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)


def table(name: str, tensor: TensorQuantization) -> list[float]:
    found = MISTAKES[name].table(tensor)
    assert found is not None
    assert found.dtype == np.dtype(tensor.dtype)
    return [float(value) for value in found[LEVELS]]


def picture(name: str, image: NDArray[np.uint8] = RIGHT) -> NDArray[np.uint8]:
    found = MISTAKES[name].picture(image)
    assert found.shape == (224, 224, 3)
    assert found.dtype == np.uint8
    return found


@pytest.mark.parametrize(
    ("name", "floats", "int8"),
    [
        # int8 holds 0..1 as -128..127: all above is 127.
        ("no division", [0, 1, 127, 128, 255], [-128, 127, 127, 127, 127]),
        # Grey 127 lies just below nought, which is -128.
        (
            "[-1,1]",
            [-1, 1 / 127.5 - 1, 127 / 127.5 - 1, 128 / 127.5 - 1, 1],
            [-128, -128, -128, -127, 127],
        ),
        ("whole division", [0, 0, 0, 0, 1], [-128, -128, -128, -128, 127]),
        ("signed bytes", [0, 1 / 255, 127 / 255, -128 / 255, -1 / 255], [0, 1, 127, -128, -1]),
    ],
)
def test_levels_become_the_wrong_numbers(name: str, floats: list[float], int8: list[float]) -> None:
    assert table(name, FLOAT) == pytest.approx(floats, abs=1e-7)
    assert table(name, INT8) == int8


def test_unsigned_bytes_cannot_be_wrapped() -> None:
    assert MISTAKES["signed bytes"].table(UINT8) is None


def test_other_mistakes_keep_the_levels() -> None:
    kept = [
        name
        for name, mistake in MISTAKES.items()
        if mistake.table is TensorQuantization.pixel_table
    ]
    assert len(kept) == 6
    for name in kept:
        assert table(name, INT8) == [-128, -127, -1, 0, 127]


def test_bgr_changes_the_first_channel_and_the_last_over() -> None:
    assert np.array_equal(picture("BGR"), resize_image(RIGHT)[..., [2, 1, 0]])


def test_a_picture_whose_turn_is_ignored_lies_on_its_side() -> None:
    image = np.zeros((224, 224, 3), np.uint8)
    image[:10] = 255
    lying = picture("EXIF ignored", image)
    assert (lying[:, :10] == 255).all()
    assert (lying[:, 10:] == 0).all()


def test_the_crop_loses_the_sides_of_a_wide_picture_and_nothing_of_a_square() -> None:
    assert np.array_equal(picture("centre crop"), resize_image(RIGHT[:, 50:350].copy()))
    square = RIGHT[:, :300].copy()
    assert np.array_equal(picture("centre crop", square), resize_image(square))


def test_the_nearest_pixel_is_one_of_the_picture_and_bilinear_means_four() -> None:
    image = np.zeros((448, 448, 3), np.uint8)
    image[::2] = 200
    # Of each two rows the nearest is one; between them lies their mean.
    assert set(np.unique(picture("nearest resize", image))) <= {0, 200}
    assert set(np.unique(picture("no antialiasing", image))) == {100}
    # Rows of a third of the new pitch: four neighbours miss what the triangle filter sees.
    fine = np.zeros((672, 672, 3), np.uint8)
    fine[1::3] = 210
    assert set(np.unique(picture("no antialiasing", fine))) == {210}
    assert 60 <= resize_image(fine)[112].mean() <= 110


def test_a_poor_jpeg_changes_much_of_noise_and_nothing_of_grey() -> None:
    assert np.abs(picture("JPEG quality 50").astype(int) - resize_image(RIGHT)).mean() > 3
    grey = np.full((224, 224, 3), 128, np.uint8)
    assert np.array_equal(picture("JPEG quality 50", grey), grey)


MODEL = SessionSettings(
    data=mean_model(tensor="", signature="p_malignant"), name="int8", runtime=Runtime.LITERT
)


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Greys 20 and 60 are benign, 200 and 255 malignant; the mean tells them apart."""
    folder, records = tmp_path_factory.mktemp("greys"), []
    for grey in (20, 60, 200, 255):
        path = folder / f"{grey}.png"
        Image.new("RGB", (224, 224), (grey, grey, grey)).save(path)
        records.append(LesionRecord(image_id=path.name, path=path, is_malignant=grey > 100))
    return price_mistakes(MODEL, records, threshold=0.5, reporter=SilentReporter())


def price_of(name: str, prices: list[dict[str, Any]]) -> dict[str, Any]:
    return next(price for price in prices if price["mistake"] == name)


def test_without_a_mistake_nothing_is_lost(prices: list[dict[str, Any]]) -> None:
    right = prices[0]
    assert right["mistake"] == CORRECT
    assert (right["recall"], right["specificity"]) == (1.0, 1.0)
    assert right["images_changed"] == 0


@pytest.mark.parametrize(
    ("name", "lost_recall", "lost_specificity", "changed"),
    [
        # Every grey above 0 is white.
        ("no division", 0.0, 1.0, 3),
        # Only white stays light.
        ("whole division", 0.5, 0.0, 3),
        # 200 is the integer of the dark grey 72; 255 that of 127, which the output's quarter steps
        # round to .5; 20 and 60 are those of lighter ones than 128.
        ("signed bytes", 0.5, 1.0, 4),
        # 200 is -1 + 200 / 127.5 = .57, still light.
        ("[-1,1]", 0.0, 0.0, 3),
        ("BGR", 0.0, 0.0, 0),
        ("EXIF ignored", 0.0, 0.0, 0),
    ],
)
def test_each_mistake_has_the_price_that_can_be_counted(
    name: str,
    lost_recall: float,
    lost_specificity: float,
    changed: int,
    prices: list[dict[str, Any]],
) -> None:
    price = price_of(name, prices)
    assert (price["lost_recall"], price["lost_specificity"]) == (lost_recall, lost_specificity)
    assert price["images_changed"] == changed


def test_the_dearest_in_recall_comes_first(prices: list[dict[str, Any]]) -> None:
    assert len(prices) == 1 + len(MISTAKES)
    assert [price["mistake"] for price in prices[1:3]] == ["signed bytes", "whole division"]
    lost = [price["lost_recall"] for price in prices[1:]]
    assert lost == sorted(lost, reverse=True)


def test_the_table_and_the_json_hold_every_mistake(prices: list[dict[str, Any]]) -> None:
    section = mistake_section(prices)
    assert all(len(row) == len(COLUMNS) for row in section.rows)
    row = section.rows[1]
    assert (row[0], row[2:6]) == ("signed bytes", ("0.5000", "+0.5000", "0.0000", "+1.0000"))
    entry = section.content[1]
    assert (entry["mode"], entry["mistake"], entry["recall"]) == ("int8", "signed bytes", 0.5)
    assert {"specificity", "auc", "lost_recall", "lost_specificity", "lost_auc"} <= set(entry)


def test_a_mistake_that_cannot_be_made_comes_last_without_figures() -> None:
    metrics = dict.fromkeys(("recall", "specificity", "auc"), 1.0)
    lost = {f"lost_{name}": 0.0 for name in metrics}
    way = {"mode": "int8", "mistake": "BGR", "what": "changed over", "images_changed": 1}
    made = {**way, **lost, **metrics}
    other = {
        "mode": "int8",
        "mistake": "signed bytes",
        "what": "wrapped",
        "skipped": "the input tensor does not allow it",
    }
    section = mistake_section([made, other])
    assert section.rows[1][:3] == ("signed bytes", "wrapped", "cannot be made")
    assert section.content[1] == other
