"""A shift of all scores is told from a loss by the threshold of the candidate's own."""

import json

import pytest
from made import predictions_of

from edge_melanoma.benchmarks.parity.comparison import compare
from edge_melanoma.benchmarks.parity.findings import (
    NO_POINT_OF_ITS_OWN,
    OwnPoint,
    compare_at_points,
    own_point_of,
)

BEFORE = predictions_of(malignant=(0.9, 0.6, 0.45), benign=(0.1, 0.2, 0.55))
SHIFTED = predictions_of(malignant=(0.8, 0.5, 0.35), benign=(0.0, 0.1, 0.45))
AT_REFERENCE = compare(BEFORE, SHIFTED, threshold=0.4)


def test_a_shift_is_lost_at_the_reference_and_won_back_at_its_own_threshold() -> None:
    half, reference, own = compare_at_points(
        BEFORE,
        SHIFTED,
        AT_REFERENCE,
        threshold=0.4,
        own=OwnPoint(threshold=0.3, integer=-51, min_recall=0.95),
    )
    assert [point.name for point in (half, reference, own)] == ["half", "reference", "own"]
    assert half.comparison is not None
    assert half.comparison.drops()["recall"] == 0.0
    assert reference.comparison is not None
    assert reference.comparison.flips.lost_malignant == ("2.png",)
    assert own.comparison is not None
    assert own.comparison.agreement == 1.0
    told = own.as_dict()
    assert (told["reference_threshold"], told["candidate_threshold"]) == (0.4, 0.3)
    assert (told["candidate_integer"], told["missing"]) == (-51, None)
    assert told["drop"]["recall"] == 0.0
    assert reference.comparison is AT_REFERENCE
    assert told["min_recall"] == 0.95
    assert told["confusion"] == {
        "true_positive": 3,
        "false_negative": 0,
        "false_positive": 1,
        "true_negative": 2,
    }
    assert set(told["intervals"]) >= {"recall", "specificity"}
    assert "intervals" not in half.as_dict()


def test_a_file_without_a_threshold_of_its_own_says_why_there_is_none() -> None:
    *_, own = compare_at_points(BEFORE, SHIFTED, AT_REFERENCE, threshold=0.4, own=None)
    told = json.loads(json.dumps(own.as_dict()))
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
            OwnPoint(threshold=0.25, integer=-64, min_recall=0.9),
        ),
        ({"operating_point": {"threshold": 0.25}}, OwnPoint(threshold=0.25, integer=None)),
    ],
)
def test_the_point_is_read_from_the_manifest(
    manifest: dict[str, object], point: OwnPoint | None
) -> None:
    assert own_point_of(manifest) == point
