"""What a candidate loses and gains against its reference, on pictures that a hand can count."""

import numpy as np
import pytest

from edge_melanoma.benchmarks.parity.comparison import Comparison, compare, find_flips, find_ties
from edge_melanoma.benchmarks.parity.paired_tests import exact_mcnemar, score_upper_bound
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.tflite.quantization import ScoreTensor, TensorQuantization

IDS = ("lost1", "lost2", "gained", "kept", "missed", "alarm", "cleared", "quiet1", "quiet2", "loud")
MALIGNANT = (True, True, True, True, True, False, False, False, False, False)
REFERENCE = (0.9, 0.8, 0.4, 0.9, 0.1, 0.2, 0.7, 0.1, 0.2, 0.6)
CANDIDATE = (0.3, 0.4, 0.6, 0.8, 0.1, 0.6, 0.3, 0.1, 0.2, 0.6)

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


def predictions(
    scores: tuple[float, ...],
    *,
    ids: tuple[str, ...] = IDS,
    malignant: tuple[bool, ...] = MALIGNANT,
) -> PredictionSet:
    return PredictionSet(image_ids=ids, labels=np.array(malignant), scores=np.array(scores))


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compare(predictions(REFERENCE), predictions(CANDIDATE), threshold=0.5)


def test_every_flip_is_of_the_kind_that_it_means_for_the_patient(comparison: Comparison) -> None:
    assert comparison.flips.lost_malignant == ("lost1", "lost2")
    assert comparison.flips.gained_malignant == ("gained",)
    assert comparison.flips.new_false_alarm == ("alarm",)
    assert comparison.flips.cleared_false_alarm == ("cleared",)


def test_lost_malignant_images_are_counted_first(comparison: Comparison) -> None:
    assert list(comparison.flips.counts().items()) == [
        ("lost_malignant", 2),
        ("gained_malignant", 1),
        ("new_false_alarm", 1),
        ("cleared_false_alarm", 1),
    ]


def test_a_score_at_the_threshold_is_no_flip() -> None:
    reference = predictions((0.5, 0.9), ids=("a", "b"), malignant=(True, False))
    candidate = predictions((0.9, 0.5), ids=("a", "b"), malignant=(True, False))
    assert set(find_flips(reference, candidate, threshold=0.5).counts().values()) == {0}


def test_drops_are_reference_minus_candidate(comparison: Comparison) -> None:
    # Reference: 3 of 5 malignant found, 2 of 5 benign called. Candidate: 2 found, 2 called.
    drops = comparison.drops()
    assert list(drops) == ["recall", "specificity", "precision", "f1", "accuracy", "auc"]
    assert drops["recall"] == 3 / 5 - 2 / 5
    assert drops["specificity"] == 0.0
    assert drops["precision"] == 3 / 5 - 2 / 4
    assert drops["f1"] == 6 / 10 - 4 / 9
    assert drops["accuracy"] == 6 / 10 - 5 / 10


def test_a_better_candidate_has_negative_drops() -> None:
    backwards = compare(predictions(CANDIDATE), predictions(REFERENCE), threshold=0.5)
    assert backwards.drops()["recall"] == 2 / 5 - 3 / 5
    assert backwards.drops()["accuracy"] == 5 / 10 - 6 / 10
    assert backwards.flips.lost_malignant == ("gained",)


def test_drop_of_the_area_counts_pairs_and_half_of_ties(comparison: Comparison) -> None:
    # Pairs won of 25, reference: 0.9, 0.9 and 0.8 win 5, 0.4 wins 3 (0.2, 0.1, 0.2), 0.1 ties 1.
    reference = (5 + 5 + 5 + 3 + 0.5) / 25
    # Candidate: 0.3 wins 2 and ties 1, 0.4 wins 3, 0.6 wins 3 and ties 2, 0.8 wins 5, 0.1 ties 1.
    candidate = (2.5 + 3 + 4 + 5 + 0.5) / 25
    # One rounding in each of the two areas and one in their difference, of numbers below 1.
    assert comparison.drops()["auc"] == pytest.approx(reference - candidate, abs=3 * 2**-53)


def test_a_candidate_may_be_judged_at_a_threshold_of_its_own() -> None:
    # Half of every score at half of the threshold: nothing has changed.
    halved = predictions(tuple(score / 2 for score in REFERENCE))
    at_own = compare(predictions(REFERENCE), halved, threshold=0.5, candidate_threshold=0.25)
    assert (at_own.agreement, at_own.drops()["recall"]) == (1.0, 0.0)
    at_same = compare(predictions(REFERENCE), halved, threshold=0.5)
    assert at_same.flips.lost_malignant == ("lost1", "lost2", "kept")


def test_agreement_is_the_share_without_a_flip(comparison: Comparison) -> None:
    assert comparison.agreement == 0.5


def test_score_differences_are_the_largest_and_the_mean(comparison: Comparison) -> None:
    assert comparison.max_score_difference == 0.9 - 0.3
    # Ten subtractions and a sum, each of numbers below 4, round by at most 2^-52.
    total = 0.6 + 0.4 + 0.2 + 0.1 + 0.4 + 0.4
    assert comparison.mean_score_difference == pytest.approx(total / 10, abs=20 * 2**-52)


def test_the_bound_sees_the_malignant_images_alone(comparison: Comparison) -> None:
    assert comparison.recall_drop_upper95 == score_upper_bound(lost=2, gained=1, pairs=5)


def test_a_lost_melanoma_and_a_new_alarm_are_both_worse() -> None:
    ids, malignant = ("a", "b", "c", "d", "e"), (True, True, True, True, False)
    before = predictions((0.9, 0.9, 0.9, 0.9, 0.1), ids=ids, malignant=malignant)
    after = predictions((0.1, 0.1, 0.1, 0.1, 0.9), ids=ids, malignant=malignant)
    assert compare(before, after, threshold=0.5).mcnemar_p == exact_mcnemar(5, 0)


def of_integers(tensor: ScoreTensor, integers: tuple[int, ...]) -> PredictionSet:
    """The first three are of malignant pictures."""
    scores = tensor.scores(np.array(integers, np.int8))
    ids = tuple(f"{number}.png" for number in range(len(integers)))
    malignant = tuple(number < 3 for number in range(len(integers)))
    return predictions(tuple(scores.tolist()), ids=ids, malignant=malignant)


@pytest.mark.parametrize("threshold", [6.51 / 256, 7 / 256, 7.49 / 256])
def test_ties_are_on_the_step_that_the_threshold_is_rounded_to(threshold: float) -> None:
    # Step 7 is the integer -121: two malignant and one benign picture are on it.
    scores = of_integers(PROBABILITY, (-121, -121, -120, -121, -122, 127))
    ties = find_ties(scores, threshold=threshold, output=PROBABILITY)
    assert ties == {"images": 3, "malignant": 2}


def test_the_threshold_of_a_logit_file_is_rounded_as_a_logit() -> None:
    # P of 0.2 is a logit of -1.386: -3 steps of a half, whose P is 0.182. The next is 0.269.
    scores = of_integers(LOGIT, (-3, -2, 0, -3, -4))
    ties = find_ties(scores, threshold=0.2, output=LOGIT)
    assert ties == {"images": 2, "malignant": 1}
    # Rounded in steps of P, 0.2 would be none of the scores.
    assert find_ties(scores, threshold=0.2, output=PROBABILITY)["images"] == 0


def test_a_threshold_above_the_last_step_cannot_be_told_from_it() -> None:
    scores = of_integers(PROBABILITY, (127, 126, 0, -128))
    assert find_ties(scores, threshold=0.999, output=PROBABILITY) == {
        "images": 1,
        "malignant": 1,
    }


def test_a_float_score_ties_with_nothing_but_the_threshold_itself() -> None:
    scores = predictions(
        (0.25, 0.25000001, 0.25), ids=("a", "b", "c"), malignant=(True, True, False)
    )
    assert find_ties(scores, threshold=0.25, output=FLOAT) == {"images": 2, "malignant": 1}
    assert find_ties(scores, threshold=0.2500001, output=FLOAT)["images"] == 0


def test_a_comparison_counts_the_candidates_ties_and_its_distinct_scores() -> None:
    reference = of_integers(PROBABILITY, (0, 1, 2, 3, 4))
    candidate = of_integers(PROBABILITY, (0, 0, 127, -50, -128))
    compared = compare(reference, candidate, threshold=0.5, output=PROBABILITY)
    assert compared.ties is not None
    assert compared.ties == {"images": 2, "malignant": 2}
    assert compared.distinct_scores == 4


def test_ties_of_an_unknown_output_are_unknown_and_not_none(comparison: Comparison) -> None:
    assert comparison.ties is None
    # 0.3 and 0.6 stand for two and three pictures, 0.4, 0.8, 0.1 and 0.2 for others.
    assert comparison.distinct_scores == 6


@pytest.mark.parametrize(
    ("ids", "malignant"),
    [
        ((*IDS[:-1], "other"), MALIGNANT),
        (tuple(reversed(IDS)), MALIGNANT),
        (IDS, (*MALIGNANT[:-1], True)),
    ],
    ids=["another picture", "another order", "another label"],
)
def test_sets_of_other_images_are_refused(
    ids: tuple[str, ...], malignant: tuple[bool, ...]
) -> None:
    other = predictions(CANDIDATE, ids=ids, malignant=malignant)
    with pytest.raises(EdgeMelanomaError) as caught:
        compare(predictions(REFERENCE), other, threshold=0.5)
    assert str(caught.value) == (
        "The two prediction sets are of different images; score both models on the same ones."
    )


def test_sets_of_one_class_are_refused() -> None:
    benign = predictions((0.1, 0.2), ids=("a", "b"), malignant=(False, False))
    with pytest.raises(EdgeMelanomaError) as caught:
        compare(benign, benign, threshold=0.5)
    assert str(caught.value) == (
        "2 benign and 0 malignant images: recall and specificity need at least one image of each "
        "class."
    )
