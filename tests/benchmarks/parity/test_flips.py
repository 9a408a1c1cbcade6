"""Flipped pictures with their scores: counted on five images, integers on a grid of 1/256."""

from dataclasses import asdict

import pytest
from made import predictions_of

from edge_melanoma.benchmarks.parity.comparison import KIND_NAMES, compare
from edge_melanoma.benchmarks.parity.findings import FlippedImage, describe_flips, integer_of
from edge_melanoma.tflite.quantization import ScoreTensor, TensorQuantization

PROBABILITY = ScoreTensor(
    name="p_malignant",
    quantization=TensorQuantization(dtype="int8", scale=1 / 256, zero_point=-128),
)
LOGIT = ScoreTensor(
    name="logit", quantization=TensorQuantization(dtype="int8", scale=0.5, zero_point=0)
)
FLOAT = ScoreTensor(
    name="p_malignant",
    quantization=TensorQuantization(dtype="float32", scale=0.0, zero_point=0),
)
BEFORE = predictions_of(malignant=(0.5, 0.75, 0.25), benign=(0.25, 0.5))
AFTER = predictions_of(malignant=(0.375, 0.25, 0.5), benign=(0.75, 0.125))


def described(output: ScoreTensor | None = PROBABILITY) -> tuple[FlippedImage, ...]:
    comparison = compare(BEFORE, AFTER, threshold=0.5)
    return describe_flips(BEFORE, AFTER, comparison, threshold=0.5, output=output)


def test_lost_malignant_images_come_first_the_farthest_before_the_rest() -> None:
    assert [(image.image_id, image.kind) for image in described()] == [
        ("1.png", "lost_malignant"),
        ("0.png", "lost_malignant"),
        ("2.png", "gained_malignant"),
        ("3.png", "new_false_alarm"),
        ("4.png", "cleared_false_alarm"),
    ]
    assert list(KIND_NAMES) == list(dict.fromkeys(image.kind for image in described()))


def test_distances_are_from_the_threshold_and_integers_on_the_files_grid() -> None:
    assert asdict(described()[0]) == {
        "image_id": "1.png",
        "kind": "lost_malignant",
        "reference_score": 0.75,
        "candidate_score": 0.25,
        "reference_distance": 0.25,
        "candidate_distance": -0.25,
        "reference_integer": 192 - 128,
        "candidate_integer": 64 - 128,
    }


@pytest.mark.parametrize("output", [FLOAT, None])
def test_a_float_output_has_no_integers(output: ScoreTensor | None) -> None:
    assert {image.candidate_integer for image in described(output)} == {None}


def test_the_integer_of_a_logit_file_is_that_of_the_logit() -> None:
    # P of 0.2 is a logit of -1.386: -2.8 steps of a half. P of 1 is beyond every integer.
    assert integer_of(LOGIT, 0.2) == -3
    assert integer_of(LOGIT, 1.0) == 127
