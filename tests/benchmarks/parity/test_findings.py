"""What is found out about a candidate beside its metrics."""

from made import predictions_of
from parity_reports import INT8_OUTPUT

from edge_melanoma.benchmarks.parity.comparison import compare
from edge_melanoma.benchmarks.parity.findings import Findings, study_candidate
from edge_melanoma.benchmarks.parity.paired_tests import ProofLimits


def found() -> Findings:
    """One of four malignant images is lost; of four benign, one alarms and two are cleared."""
    before = predictions_of(malignant=(0.9,) * 4, benign=(0.1, 0.1, 0.6, 0.7))
    after = predictions_of(malignant=(0.2,) + (0.9,) * 3, benign=(0.7, 0.1, 0.2, 0.3))
    return study_candidate(
        before,
        after,
        compare(before, after, threshold=0.5),
        threshold=0.5,
        output=INT8_OUTPUT,
        manifest={"operating_point": {"threshold": 0.15, "integer": -90}},
        is_full_int8=True,
    )


def test_recall_is_proved_by_malignant_images_and_accuracy_by_all() -> None:
    assert found().limits(margin=0.01) == {
        "recall": ProofLimits(lost=1, gained=0, pairs=4, margin=0.01),
        "accuracy": ProofLimits(lost=2, gained=2, pairs=8, margin=0.01),
    }


def test_the_candidates_own_point_is_the_manifests() -> None:
    *_, own = found().points
    assert (own.candidate_threshold, own.candidate_integer) == (0.15, -90)
    assert own.comparison is not None
    assert own.comparison.flips.lost_malignant == ()


def test_the_threshold_has_an_integer_where_the_output_has() -> None:
    told = found().as_dict({}, margin=0.01)
    assert told["threshold_integer"] == 0
    assert told["output"] == {
        "name": "p_malignant",
        "dtype": "int8",
        "scale": 1 / 256,
        "zero_point": -128,
    }
    assert told["flip_details"][0]["kind"] == "lost_malignant"
