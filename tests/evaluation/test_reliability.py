"""ECE and Brier score of counted pictures, and what chance alone adds to the ECE."""

import numpy as np
import pytest
from made import predictions_of

from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.evaluation.reliability import (
    BINS,
    describe_reliability,
    expected_calibration_error,
    measure_reliability,
)
from edge_melanoma.tflite.quantization import sigmoid

# Bins are fifteenths: 0.01 and 0.03 lie in the first, 0.5 in the eighth, 0.95 and 1 in the last.
SEVEN = predictions_of(malignant=(0.95, 1.0, 0.5), benign=(0.01, 0.03, 0.5, 0.95))


def simulated(*, slope: float, images: int, seed: int) -> PredictionSet:
    """Scores whose logits are `slope` times the true ones, which lie around -2 and 2."""
    random = np.random.default_rng(seed)
    logits = random.choice([-2.0, 2.0], images) + random.normal(0, 1.5, images)
    return PredictionSet(
        image_ids=tuple(map(str, range(images))),
        labels=random.random(images) < sigmoid(logits),
        scores=sigmoid(slope * logits),
    )


def test_the_ece_is_the_distance_of_score_and_share_by_bin() -> None:
    # Two score .02 and none is malignant; two .5 and one is; three 2.9 / 3 and two are.
    expected = (2 * 0.02 + 2 * 0.0 + 3 * abs(2.9 / 3 - 2 / 3)) / 7
    assert measure_reliability(SEVEN).ece == pytest.approx(expected, rel=1e-12)


def test_the_brier_score_is_the_mean_squared_error() -> None:
    expected = (0.05**2 + 0.5**2 + 0.01**2 + 0.03**2 + 0.5**2 + 0.95**2) / 7
    assert measure_reliability(SEVEN).brier == pytest.approx(expected, rel=1e-12)


def test_bins_are_fifteenths_and_empty_ones_have_neither_mean_nor_share() -> None:
    bins = measure_reliability(SEVEN).bins
    assert len(bins) == BINS == 15
    assert [
        (number, filled["images"]) for number, filled in enumerate(bins) if filled["images"]
    ] == [
        (0, 2),
        (7, 2),
        (14, 3),
    ]
    assert (bins[14]["low"], bins[14]["high"]) == (14 / 15, 1.0)
    assert (bins[7]["mean_score"], bins[7]["malignant_share"]) == (0.5, 0.5)
    assert (bins[1]["mean_score"], bins[1]["malignant_share"]) == (None, None)


def test_weights_count_as_repeated_pictures() -> None:
    scores, labels = SEVEN.scores, SEVEN.labels.astype(np.float64)
    times = np.array([3, 1, 2, 1, 0, 4, 2])
    repeated = expected_calibration_error(np.repeat(scores, times), np.repeat(labels, times))
    weighted = expected_calibration_error(scores, labels, weights=times.astype(np.float64))
    assert weighted == pytest.approx(repeated, rel=1e-12)


def test_perfect_probabilities_show_what_chance_gives() -> None:
    perfect = [
        measure_reliability(simulated(slope=1.0, images=1000, seed=seed)) for seed in range(20)
    ]
    # The mean of 20 ECEs has a standard error of some .001; chance gives .03 here.
    by_chance = np.mean([found.ece_if_perfect for found in perfect])
    assert 0.02 < by_chance < 0.04
    assert np.mean([found.ece for found in perfect]) == pytest.approx(by_chance, abs=0.004)
    # Of 20 intervals that each hold 0 in 95 %, 16 or more do in 997 of 1,000 cases.
    assert sum(found.ece_interval[0] == 0.0 for found in perfect) >= 16


def test_overconfident_scores_show_more_than_chance_and_an_interval_above_zero() -> None:
    found = measure_reliability(simulated(slope=3.0, images=1000, seed=1))
    assert found.ece > found.ece_if_perfect_upper95 > found.ece_if_perfect
    low, high = found.ece_interval
    assert 0 < low < found.ece < high
    # The true distance, of so many pictures that chance adds nothing.
    many = simulated(slope=3.0, images=200_000, seed=2)
    truth = expected_calibration_error(many.scores, many.labels.astype(np.float64))
    assert low < truth < high


def test_the_same_scores_have_the_same_interval() -> None:
    assert measure_reliability(SEVEN) == measure_reliability(SEVEN)


def test_a_line_tells_the_error_with_its_interval_and_chance() -> None:
    told = {
        "ece": 0.0212,
        "ece_interval": (0.0, 0.03),
        "ece_if_perfect": 0.0189,
        "brier": 0.04,
    }
    assert describe_reliability(told) == (
        "calibration error (ECE, 15 bins) 0.0212, 95 % interval 0.0000 .. 0.0300; perfect "
        "probabilities would show 0.0189 by chance; Brier score 0.0400"
    )
