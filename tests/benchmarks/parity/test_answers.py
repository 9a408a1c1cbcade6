"""Three answers of two models: every step of a malignant picture downwards is lost."""

import pytest
from made import predictions_of
from parity_reports import report_of

from edge_melanoma.benchmarks.parity.answers import answers_section, compare_answers
from edge_melanoma.errors import EdgeMelanomaError

BEFORE = predictions_of(malignant=(0.9, 0.9, 0.5, 0.5, 0.1), benign=(0.1, 0.5, 0.9))
AFTER = predictions_of(malignant=(0.5, 0.1, 0.1, 0.9, 0.5), benign=(0.1, 0.1, 0.9))
ENDS = (0.3, 0.7)


def test_lost_counts_steps_of_malignant_pictures_towards_not_flagged() -> None:
    told = compare_answers(BEFORE, AFTER, reference_thresholds=ENDS, candidate_thresholds=ENDS)
    assert (told["lost"], told["gained"]) == (3, 2)
    assert told["lost_images"] == ["0.png", "1.png", "2.png"]
    assert told["agreement"] == 2 / 8
    assert told["counts"]["malignant"] == [[0, 1, 0], [1, 0, 1], [1, 1, 0]]
    assert told["counts"]["benign"] == [[1, 0, 0], [1, 0, 0], [0, 0, 1]]
    assert told["answered"] == {"reference": 5 / 8, "candidate": 6 / 8}
    (section,) = answers_section({"int8": told})
    assert section.rows[0] == ("int8", "0.3000", "0.7000", "75.0%", "62.5%", "25.00%", "3", "2")


def test_each_model_decides_at_thresholds_of_its_own() -> None:
    told = compare_answers(
        BEFORE, BEFORE, reference_thresholds=ENDS, candidate_thresholds=(0.6, 0.95)
    )
    assert (told["lost"], told["gained"], told["agreement"]) == (4, 0, 2 / 8)


def test_other_pictures_are_refused() -> None:
    with pytest.raises(EdgeMelanomaError, match="different images"):
        compare_answers(
            BEFORE,
            predictions_of(malignant=(0.9,), benign=(0.1,)),
            reference_thresholds=ENDS,
            candidate_thresholds=ENDS,
        )


def test_a_report_without_three_answers_has_no_such_block() -> None:
    assert "decisions" not in report_of(BEFORE, AFTER).as_dict()["candidates"][0]
    assert answers_section({}) == ()
