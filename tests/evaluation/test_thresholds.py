"""The operating point reaches the recall asked for and no other threshold is more specific."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from made import joined, predictions_from, predictions_of
from numpy.typing import NDArray

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.metrics import wilson_interval
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.evaluation.thresholds import (
    OperatingPoint,
    choose_operating_point,
    describe_rule,
    snap_to_output,
)
from edge_melanoma.tflite.quantization import ScoreTensor, TensorQuantization

# In eighths and sixteenths, so that each half-way point is exact.
MALIGNANT, BENIGN = (0.875, 0.75, 0.625, 0.25), (0.5, 0.375, 0.1875, 0.125)


def shares(predictions: PredictionSet, threshold: float) -> tuple[float, float]:
    """Recall and specificity, counted anew."""
    called = predictions.scores >= threshold
    return float(called[predictions.labels].mean()), float((~called[~predictions.labels]).mean())


def test_three_of_four_melanomas_cost_no_false_alarm() -> None:
    point = choose_operating_point(
        predictions_of(malignant=MALIGNANT, benign=BENIGN), min_recall=0.75
    )
    assert point == OperatingPoint(
        threshold=(0.625 + 0.5) / 2,
        min_recall=0.75,
        recall=3 / 4,
        recall_interval=wilson_interval(3, 4),
        specificity=4 / 4,
        malignant=4,
        benign=4,
        source="validation",
    )


def test_the_last_melanoma_costs_two_false_alarms() -> None:
    point = choose_operating_point(
        predictions_of(malignant=MALIGNANT, benign=BENIGN), min_recall=1.0
    )
    assert point.threshold == (0.25 + 0.1875) / 2
    assert (point.recall, point.specificity) == (4 / 4, 2 / 4)


def test_the_recall_asked_for_is_0_95_unless_told() -> None:
    twenty = tuple(number / 32 for number in range(1, 21))
    point = choose_operating_point(predictions_of(malignant=twenty, benign=(0.0,)))
    assert (point.min_recall, point.recall) == (0.95, 19 / 20)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("min_recall", [0.05, 0.5, 0.9, 0.95, 1.0])
def test_no_threshold_with_that_recall_is_more_specific(seed: int, min_recall: float) -> None:
    random = np.random.default_rng(seed)
    malignant = tuple(random.integers(8, 33, 20) / 32)
    validation = predictions_of(malignant=malignant, benign=tuple(random.integers(0, 25, 30) / 32))
    point = choose_operating_point(validation, min_recall=min_recall)
    assert (point.recall, point.specificity) == shares(validation, point.threshold)
    assert point.recall >= min_recall
    for candidate in np.unique(validation.scores):
        recall, specificity = shares(validation, candidate)
        assert recall < min_recall or specificity <= point.specificity


@pytest.mark.parametrize(("min_recall", "count", "needed"), [(0.14, 50, 7), (0.07, 100, 7)])
def test_a_rounded_product_does_not_ask_for_one_melanoma_more(
    min_recall: float, count: int, needed: int
) -> None:
    assert min_recall * count > needed
    scores = tuple(number / 128 for number in range(1, count + 1))
    point = choose_operating_point(
        predictions_of(malignant=scores, benign=(0.0,)), min_recall=min_recall
    )
    assert point.recall == needed / count


def test_tied_melanomas_are_called_together() -> None:
    tied = predictions_of(malignant=(0.5, 0.5, 0.5, 0.25), benign=(0.375, 0.125))
    point = choose_operating_point(tied, min_recall=0.25)
    assert point.threshold == (0.5 + 0.375) / 2
    assert (point.recall, point.specificity) == (3 / 4, 2 / 2)


def test_a_benign_picture_tied_with_the_deciding_melanoma_is_a_false_alarm() -> None:
    tied = predictions_of(malignant=(0.75, 0.5), benign=(0.5, 0.25))
    point = choose_operating_point(tied, min_recall=1.0)
    assert point.threshold == (0.5 + 0.25) / 2
    assert (point.recall, point.specificity) == (2 / 2, 1 / 2)


def test_the_threshold_is_the_deciding_score_when_none_is_lower() -> None:
    point = choose_operating_point(predictions_of(malignant=(0.25,), benign=(0.75, 0.5)))
    assert (point.threshold, point.recall, point.specificity) == (0.25, 1.0, 0.0)


def test_scores_may_move_by_less_than_half_the_gap_without_changing_a_decision() -> None:
    validation = predictions_of(malignant=MALIGNANT, benign=BENIGN)
    point = choose_operating_point(validation, min_recall=0.75)
    for move in (-0.06, 0.06):
        moved = validation.scores + move
        assert np.array_equal(
            moved >= point.threshold, validation.decisions(threshold=point.threshold)
        )


@pytest.mark.parametrize("min_recall", [0.0, -0.5, 1.01, float("inf"), float("nan")])
def test_a_recall_that_is_no_share_above_zero_is_refused(min_recall: float) -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        choose_operating_point(
            predictions_of(malignant=MALIGNANT, benign=BENIGN), min_recall=min_recall
        )
    assert str(caught.value) == (
        f"--min-recall is {min_recall}; expected more than 0 and at most 1, such as 0.95."
    )


@pytest.mark.parametrize(
    ("malignant", "benign", "counts"),
    [
        ((), (0.25, 0.5), "2 benign and 0 malignant"),
        ((0.25, 0.5, 0.75), (), "0 benign and 3 malignant"),
    ],
)
def test_a_validation_side_of_one_class_is_refused(
    malignant: tuple[float, ...], benign: tuple[float, ...], counts: str
) -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        choose_operating_point(predictions_of(malignant=malignant, benign=benign))
    assert str(caught.value) == (
        f"{counts} validation images: an operating point needs at least one image of each class."
    )


def output_of(dtype: str, scale: float, zero_point: int, name: str = "p_malignant") -> ScoreTensor:
    grid = TensorQuantization(dtype=dtype, scale=scale, zero_point=zero_point)
    return ScoreTensor(name=name, quantization=grid)


OUTPUTS = (
    output_of("int8", 1 / 256, -128),
    output_of("uint8", 1 / 256, 0),
    output_of("int8", 1 / 255, -128),
    output_of("int8", 0.011, -100),  # reaches beyond 0 and 1
    output_of("int8", 0.07, 11, "logit"),
    output_of("uint8", 0.3, 139, "logit"),  # sigmoids of 35 and more are 1
)


def all_scores(output: ScoreTensor) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    limits = np.iinfo(output.quantization.dtype)
    integers = np.arange(limits.min, limits.max + 1)
    return integers, output.scores(integers.astype(output.quantization.dtype))


@pytest.mark.parametrize("output", OUTPUTS, ids=str)
def test_the_integer_and_the_threshold_decide_alike_on_all_256_values(output: ScoreTensor) -> None:
    integers, scores = all_scores(output)
    point = choose_operating_point(predictions_of(malignant=(0.75,), benign=(0.5,)))
    for wanted in np.unique(scores):
        for threshold in (wanted, np.nextafter(wanted, 0.0)):
            snapped = snap_to_output(replace(point, threshold=float(threshold)), output)
            by_threshold = scores >= snapped.point.threshold
            assert snapped.integer is not None
            assert np.array_equal(integers >= snapped.integer, by_threshold)
            assert np.array_equal(by_threshold, scores >= threshold)


@pytest.mark.parametrize("output", OUTPUTS, ids=str)
def test_a_snapped_point_decides_on_validation_as_the_chosen_one(output: ScoreTensor) -> None:
    random = np.random.default_rng(0)
    _, scores = all_scores(output)
    validation = predictions_of(
        malignant=tuple(random.choice(scores[96:], 60)), benign=tuple(random.choice(scores, 60))
    )
    point = choose_operating_point(validation)
    snapped = snap_to_output(point, output).point
    assert (point.recall, point.specificity) == shares(validation, snapped.threshold)
    assert replace(snapped, threshold=point.threshold) == point


def test_a_threshold_stands_half_way_between_two_steps() -> None:
    validation = predictions_of(malignant=(128 / 256,), benign=(100 / 256,))
    point = choose_operating_point(validation)
    snapped = snap_to_output(point, output_of("int8", 1 / 256, -128))
    assert point.threshold == 114 / 256
    assert (snapped.integer, snapped.point.threshold) == (114 - 128, 113.5 / 256)


def test_where_the_lowest_integer_is_malignant_its_score_is_the_threshold() -> None:
    validation = predictions_of(malignant=(0.0,), benign=(0.5,))
    snapped = snap_to_output(choose_operating_point(validation), output_of("int8", 1 / 256, -128))
    assert (snapped.integer, snapped.point.threshold) == (-128, 0.0)


def test_a_float_output_keeps_its_threshold_and_has_no_integer() -> None:
    point = choose_operating_point(predictions_of(malignant=(0.7,), benign=(0.3,)))
    snapped = snap_to_output(point, output_of("float32", 0.0, 0))
    assert (snapped.point, snapped.integer) == (point, None)


def test_a_threshold_beyond_the_output_is_refused() -> None:
    point = choose_operating_point(predictions_of(malignant=(1.0,), benign=(1.0,)))
    with pytest.raises(ValueError, match=r"no score of the output reaches the threshold 1\.0"):
        snap_to_output(point, output_of("int8", 1 / 256, -128))


def test_a_manifest_holds_the_threshold_its_integer_and_how_it_was_chosen() -> None:
    validation = predictions_of(malignant=(128 / 256,), benign=(127 / 256,))
    output = output_of("int8", 1 / 256, -128)
    told = snap_to_output(choose_operating_point(validation), output).as_dict()
    assert told == {
        "threshold": 127.5 / 256,
        "integer": 0,
        "output": {
            "dtype": "int8",
            "scale": 1 / 256,
            "zero_point": -128,
            "name": "p_malignant",
        },
        "min_recall": 0.95,
        "recall": 1.0,
        "recall_interval": wilson_interval(1, 1),
        "specificity": 1.0,
        "malignant": 1,
        "benign": 1,
        "source": "validation",
        "min_recall_bound": None,
        "deciding": None,
        "within": {},
    }


def evenly(count: int, low: float = 0.0, high: float = 1.0) -> tuple[float, ...]:
    """Scores in steps between the two, none of them equal."""
    return tuple(low + (high - low) * (number + 0.5) / count for number in range(count))


EASY = predictions_from("easy", mel=evenly(60, 0.5, 1.0), nv=evenly(60, 0.0, 0.4))
HARD = predictions_from("hard", mel=evenly(40, 0.1, 0.9), nv=evenly(80, 0.0, 0.5))
TWO = joined(EASY, HARD)


def recall_of(predictions: PredictionSet, threshold: float) -> tuple[int, int]:
    """Melanomas found, and all of them."""
    melanomas = np.array([origin.diagnosis == "mel" for origin in predictions.origins])
    return int((predictions.scores[melanomas] >= threshold).sum()), int(melanomas.sum())


def test_of_several_sources_the_worst_decides_by_the_bound_of_its_recall() -> None:
    point = choose_operating_point(TWO)
    assert (point.deciding, point.min_recall, point.min_recall_bound) == ("hard", None, 0.85)
    found, of = recall_of(HARD, point.threshold)
    assert wilson_interval(found, of)[0] >= 0.85 > wilson_interval(found - 1, of)[0]
    assert wilson_interval(*recall_of(EASY, point.threshold))[0] >= 0.85
    # The same as if the hard source had been alone with that recall to reach.
    assert recall_of(TWO, point.threshold) == (found + 60, of + 60)
    higher = np.min(HARD.scores[HARD.labels & (HARD.scores >= point.threshold)])
    assert higher >= point.threshold > np.max(TWO.scores[TWO.scores < higher])


def test_a_point_of_several_sources_tells_what_it_does_in_each() -> None:
    point = choose_operating_point(TWO)
    found, of = recall_of(HARD, point.threshold)
    specificity = shares(HARD, point.threshold)[1]
    assert list(point.within) == ["easy", "hard"]
    assert point.within["hard"] == {
        "recall": found / of,
        "recall_interval": wilson_interval(found, of),
        "specificity": specificity,
        "malignant": 40,
        "benign": 80,
    }
    assert (point.malignant, point.benign) == (100, 140)
    assert (point.recall, point.specificity) == shares(TWO, point.threshold)
    told = snap_to_output(point, output_of("int8", 1 / 256, -128)).as_dict()
    assert (told["deciding"], told["within"]) == ("hard", point.within)


@pytest.mark.parametrize("min_recall", [0.5, 0.9, 1.0])
def test_a_recall_that_is_asked_for_is_reached_in_every_source(min_recall: float) -> None:
    point = choose_operating_point(TWO, min_recall=min_recall)
    assert (point.min_recall, point.min_recall_bound) == (min_recall, None)
    (found, of), easy = (recall_of(one, point.threshold) for one in (HARD, EASY))
    assert found / of >= min_recall > (found - 1) / of
    assert easy[0] / easy[1] >= min_recall
    assert point.deciding == "hard"


def test_another_source_decides_where_it_is_the_worst() -> None:
    turned = joined(
        predictions_from("easy", mel=evenly(60, 0.05, 0.5), nv=evenly(60, 0.0, 0.4)), HARD
    )
    assert choose_operating_point(turned).deciding == "easy"


def test_carcinomas_have_no_say_in_a_threshold_of_several_sources() -> None:
    missed = replace(
        predictions_from("hard", bcc=(0.01,) * 50), image_ids=tuple(f"bcc {n}" for n in range(50))
    )
    point = choose_operating_point(joined(TWO, missed))
    plain = choose_operating_point(TWO)
    assert (point.threshold, point.within) == (plain.threshold, plain.within)
    # Over all they are counted, as misses here.
    assert (point.malignant, plain.malignant) == (150, 100)
    assert point.recall == pytest.approx(plain.recall * 100 / 150)


@pytest.mark.parametrize(("melanomas", "benign"), [(21, 100), (100, 9)])
def test_a_source_that_is_too_small_to_reach_the_bound_does_not_decide(
    melanomas: int, benign: int
) -> None:
    # Of 21 melanomas, all found, the bound is 0.845.
    assert wilson_interval(21, 21)[0] < 0.85 < wilson_interval(22, 22)[0]
    small = predictions_from("small", mel=evenly(melanomas, 0, 0.05), nv=evenly(benign, 0.9, 1.0))
    point = choose_operating_point(joined(TWO, small))
    assert point.deciding == "hard"
    assert list(point.within) == ["easy", "hard"]
    assert recall_of(small, point.threshold)[0] == 0


def test_22_melanomas_are_enough_to_decide_and_all_of_them_are_found() -> None:
    small = predictions_from("small", mel=evenly(22, 0.02, 0.05), nv=evenly(10, 0.9, 1.0))
    point = choose_operating_point(joined(TWO, small))
    assert point.deciding == "small"
    assert recall_of(small, point.threshold) == (22, 22)


def test_one_source_is_judged_over_all_its_malignant_pictures_as_without_origins() -> None:
    alone = predictions_from(
        "alone", mel=evenly(40, 0.3, 0.9), nv=evenly(40, 0, 0.5), bcc=evenly(20, 0, 0.5)
    )
    small = predictions_from("small", mel=evenly(9), nv=evenly(9))
    for validation in (alone, joined(alone, small)):
        for min_recall in (None, 0.8):
            point = choose_operating_point(validation, min_recall=min_recall)
            plain = choose_operating_point(replace(validation, origins=()), min_recall=min_recall)
            assert point == plain
            assert point.min_recall == (min_recall or 0.95)
            assert (point.min_recall_bound, point.deciding, point.within) == (None, None, {})


def test_a_source_without_a_name_may_decide() -> None:
    nameless = predictions_from("", mel=evenly(40, 0.0, 0.3), nv=evenly(40, 0, 0.3))
    point = choose_operating_point(joined(TWO, nameless))
    assert point.deciding == ""
    assert list(point.within) == ["", "easy", "hard"]


def test_the_rule_of_a_point_is_told_in_words() -> None:
    assert rule_of(choose_operating_point(EASY)) == "recall at least 0.95"
    assert rule_of(choose_operating_point(TWO, min_recall=0.9)) == (
        "recall at least 0.9 in every clinic"
    )
    assert rule_of(choose_operating_point(TWO)) == (
        "the lower 95 % bound of recall at least 0.85 in every clinic"
    )


def rule_of(point: OperatingPoint) -> str:
    return describe_rule(asdict(point))


@pytest.mark.parametrize("seed", range(4))
def test_no_higher_threshold_would_hold_the_rule_in_every_source(seed: int) -> None:
    random = np.random.default_rng(seed)
    validation = joined(
        *(
            predictions_from(
                name,
                mel=tuple(random.beta(4, 2, random.integers(30, 90))),
                nv=tuple(random.beta(2, 4, 50)),
                bcc=tuple(random.beta(2, 2, 10)),
            )
            for name in "abc"
        )
    )
    point = choose_operating_point(validation)

    def holds(threshold: float) -> bool:
        parts = (
            validation.only(np.array([origin.source == name for origin in validation.origins]))
            for name in "abc"
        )
        return all(wilson_interval(*recall_of(part, threshold))[0] >= 0.85 for part in parts)

    assert holds(point.threshold)
    above = np.unique(validation.scores[validation.scores > point.threshold])
    # The first of these decides; beyond it the rule is broken.
    assert holds(above[0])
    assert not any(map(holds, above[1:]))
