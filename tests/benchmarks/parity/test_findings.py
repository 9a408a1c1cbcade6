"""What is found out about a candidate beside its metrics: its flips and its own threshold."""

import json
from typing import Any

import pytest
from made import predictions_of

from edge_melanoma.benchmarks.parity.comparison import (
    KIND_NAMES,
    NO_POINT_OF_ITS_OWN,
    compare,
    compare_at_points,
    describe_flips,
    integer_of,
    own_point_of,
)
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


def described(output: ScoreTensor | None = PROBABILITY) -> list[dict[str, Any]]:
    return describe_flips(compare(BEFORE, AFTER, threshold=0.5, output=output))


def test_lost_malignant_images_come_first_the_farthest_before_the_rest() -> None:
    assert [(image["image_id"], image["kind"]) for image in described()] == [
        ("1.png", "lost_malignant"),
        ("0.png", "lost_malignant"),
        ("2.png", "gained_malignant"),
        ("3.png", "new_false_alarm"),
        ("4.png", "cleared_false_alarm"),
    ]
    assert list(KIND_NAMES) == list(dict.fromkeys(image["kind"] for image in described()))


def test_distances_are_from_the_threshold_and_integers_on_the_files_grid() -> None:
    assert described()[0] == {
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
    assert {image["candidate_integer"] for image in described(output)} == {None}


def test_the_integer_of_a_logit_file_is_that_of_the_logit() -> None:
    # P of 0.2 is a logit of -1.386: -2.8 steps of a half. P of 1 is beyond every integer.
    assert integer_of(LOGIT, 0.2) == -3
    assert integer_of(LOGIT, 1.0) == 127


UNSHIFTED = predictions_of(malignant=(0.9, 0.6, 0.45), benign=(0.1, 0.2, 0.55))
SHIFTED = predictions_of(malignant=(0.8, 0.5, 0.35), benign=(0.0, 0.1, 0.45))
AT_REFERENCE = compare(UNSHIFTED, SHIFTED, threshold=0.4)


def test_a_shift_is_lost_at_the_reference_and_won_back_at_its_own_threshold() -> None:
    half, reference, told = compare_at_points(
        AT_REFERENCE, own={"threshold": 0.3, "integer": -51, "min_recall": 0.95}
    )
    assert [point["name"] for point in (half, reference, told)] == ["half", "reference", "own"]
    assert half["drop"]["recall"] == 0.0
    assert AT_REFERENCE.flips.lost_malignant == ("2.png",)
    assert reference["flips"] == AT_REFERENCE.flips.counts()
    assert told["agreement"] == 1.0
    assert (told["reference_threshold"], told["candidate_threshold"]) == (0.4, 0.3)
    assert (told["candidate_integer"], told["missing"]) == (-51, None)
    assert told["drop"]["recall"] == 0.0
    assert reference["drop"] == AT_REFERENCE.drops()
    assert told["min_recall"] == 0.95
    assert told["confusion"] == {
        "true_positive": 3,
        "false_negative": 0,
        "false_positive": 1,
        "true_negative": 2,
    }
    assert set(told["intervals"]) >= {"recall", "specificity"}
    assert "intervals" not in half


def test_a_file_without_a_threshold_of_its_own_says_why_there_is_none() -> None:
    *_, own = compare_at_points(AT_REFERENCE, own=None)
    told = json.loads(json.dumps(own))
    assert told == {
        "name": "own",
        "reference_threshold": 0.4,
        "candidate_threshold": None,
        "candidate_integer": None,
        "missing": NO_POINT_OF_ITS_OWN,
    }


@pytest.mark.parametrize(
    ("manifest", "point"),
    [
        ({}, None),
        ({"operating_point": None}, None),
        (
            {"operating_point": {"threshold": 0.25, "integer": -64, "min_recall": 0.9}},
            {"threshold": 0.25, "integer": -64, "min_recall": 0.9},
        ),
        (
            {"operating_point": {"threshold": 0.25}},
            {"threshold": 0.25, "integer": None, "min_recall": None},
        ),
    ],
)
def test_the_point_is_read_from_the_manifest(
    manifest: dict[str, object], point: dict[str, object] | None
) -> None:
    assert own_point_of(manifest) == point
