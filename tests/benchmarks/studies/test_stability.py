"""Twenty pipelines on pictures that can be counted, and what of decisions they change."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tflite_files import mean_model

from edge_melanoma.benchmarks.studies.stability import (
    PIPELINES,
    judge,
    measure_stability,
    stability_section,
)
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.runtime.interpreters import SessionSettings
from edge_melanoma.runtime.names import Runtime

RIGHT = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
GREY = np.full((20, 30, 3), 128, np.uint8)


def test_there_are_twenty_and_each_changes_a_picture() -> None:
    assert len(PIPELINES) == 20
    for make in PIPELINES.values():
        found = make(RIGHT)
        assert found.dtype == np.uint8
        assert found.shape != RIGHT.shape or not np.array_equal(found, RIGHT)


def test_light_is_multiplied_where_it_is_linear() -> None:
    # Grey 128 is 0.2159 of the light; twice that by the cube root of 4, 0.3427, is level 158.
    (brighter,) = np.unique(PIPELINES["2/3 stop brighter"](GREY))
    assert brighter == 158
    warm = PIPELINES["warmer light"](GREY)[0, 0]
    assert warm[0] > 128 == warm[1] > warm[2]


def test_grey_is_grey_in_display_p3_and_red_is_paler() -> None:
    make = PIPELINES["Display P3 taken for sRGB"]
    assert np.unique(make(GREY)).tolist() == [128]
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 255
    assert make(red)[0, 0].tolist() == [234, 51, 35]


def test_a_shift_moves_one_pixel_and_keeps_the_edge() -> None:
    right, down = (PIPELINES[f"one pixel {way}"](RIGHT) for way in ("to the right", "down"))
    assert np.array_equal(right[:, 1:], RIGHT[:, :-1])
    assert np.array_equal(right[:, 0], RIGHT[:, 0])
    assert np.array_equal(down[1:], RIGHT[:-1])
    assert np.array_equal(down[0], RIGHT[0])


def test_changes_are_counted_by_pipeline_and_the_worst_is_named() -> None:
    scores = np.full((4, 21), 0.6)
    scores[0, 1:3] = 0.4  # a melanoma lost by the first two pipelines
    scores[1, 1] = 0.4  # a benign one cleared by the first
    told = judge(scores, np.array([True, False, True, False]), (0.5, 0.5))
    assert told["changed"] == pytest.approx(3 / 80)
    low, high = told["interval"]
    assert low < told["changed"] < high
    assert (told["worst"], told["worst_changed"]) == ("warmer light", 0.5)
    assert [one["lost"] for one in told["by_pipeline"].values()][:3] == [1, 1, 0]
    assert told["unstable_pictures"] == 0.5


def test_a_step_between_three_answers_is_a_change() -> None:
    scores = np.full((1, 21), 0.9)
    scores[0, 1] = 0.6
    malignant = np.array([True])
    assert judge(scores, malignant, (0.5, 0.5))["changed"] == 0
    three = judge(scores, malignant, (0.5, 0.8))
    assert three["changed"] == pytest.approx(1 / 20)
    assert three["by_pipeline"]["warmer light"]["lost"] == 1


def test_a_model_of_the_mean_grey_is_moved_by_exposure_alone(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    Image.fromarray(np.full((224, 224, 3), 100, np.uint8)).save(path)
    record = LesionRecord(image_id="grey.png", path=path, is_malignant=True)
    model = SessionSettings(
        data=mean_model(tensor="p_malignant", signature="p_malignant"),
        name="int8",
        runtime=Runtime.LITERT,
    )
    told = measure_stability(
        [model], (record,) * 500, thresholds={"int8": (0.45, 0.45)}, reporter=SilentReporter()
    )
    found = told["models"][0]["by_pipeline"]
    assert told["pictures"] == told["models"][0]["pictures"] == 400
    assert found["2/3 stop darker"]["changed"] == 1
    assert found["turned by 90 degrees"]["changed"] == found["JPEG quality 90"]["changed"] == 0
    section = stability_section(told)
    assert (section.rows[0][1], section.rows[0][4]) == ("all 20", str(_lost(found)))


def _lost(found: dict[str, dict[str, int]]) -> int:
    return sum(one["lost"] for one in found.values())
