"""Metrics agree with hand counts, with scikit-learn and with Wilson's formula."""

from fractions import Fraction
from math import exp, log, sqrt
from statistics import NormalDist

import numpy as np
import pytest
from made import predictions_of

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.metrics import (
    ConfusionCounts,
    Interval,
    area_under_roc,
    count_confusions,
    measure,
    measure_intervals,
    wilson_interval,
)
from edge_melanoma.evaluation.predictions import PredictionSet

# At 0.5: three of four melanomas are called, and two of six benign pictures (0.5 reaches 0.5).
MALIGNANT, BENIGN = (0.9, 0.8, 0.6, 0.2), (0.7, 0.5, 0.4, 0.3, 0.1, 0.05)


def random_predictions(*, count: int, seed: int) -> PredictionSet:
    """Two decimals only, so that there are ties."""
    random = np.random.default_rng(seed)
    labels = random.random(count) < 0.3
    centres = np.where(labels, 0.6, 0.4)
    scores = random.normal(centres, 0.2).clip(0.0, 1.0).round(2)
    ids = tuple(str(number) for number in range(count))
    return PredictionSet(image_ids=ids, labels=labels, scores=scores)


@pytest.fixture
def ten() -> PredictionSet:
    return predictions_of(malignant=MALIGNANT, benign=BENIGN)


def test_confusions_are_counted_by_truth_and_decision(ten: PredictionSet) -> None:
    assert count_confusions(ten, threshold=0.5) == ConfusionCounts(
        true_positive=3, false_negative=1, false_positive=2, true_negative=4
    )


def test_recall_counts_only_malignant_images(ten: PredictionSet) -> None:
    assert measure(ten, threshold=0.5).recall == Fraction(3, 4)
    more = predictions_of(malignant=MALIGNANT, benign=(*BENIGN, 0.99, 0.01))
    assert measure(more, threshold=0.5).recall == Fraction(3, 4)


def test_each_share_is_its_fraction(ten: PredictionSet) -> None:
    measured = measure(ten, threshold=0.5)
    assert measured.specificity == float(Fraction(4, 6))
    assert measured.precision == float(Fraction(3, 5))
    assert measured.f1 == float(Fraction(2 * 3, 2 * 3 + 2 + 1))
    assert measured.accuracy == float(Fraction(7, 10))


def test_metrics_are_listed_with_recall_first(ten: PredictionSet) -> None:
    names = ["recall", "specificity", "precision", "f1", "accuracy", "auc"]
    assert list(measure(ten, threshold=0.5).as_dict()) == names


def test_a_score_equal_to_the_threshold_is_called_malignant(ten: PredictionSet) -> None:
    assert count_confusions(ten, threshold=0.8).true_positive == 2
    assert count_confusions(ten, threshold=np.nextafter(0.8, 1)).true_positive == 1


def test_auc_is_the_share_of_pairs_in_which_the_malignant_one_scores_higher(
    ten: PredictionSet,
) -> None:
    # Ten trapezoids of four roundings each, every one at most 2^-53.
    assert area_under_roc(ten.scores, ten.labels) == pytest.approx(
        (6 + 6 + 5 + 2) / 24, rel=0, abs=40 * 2**-53
    )


def test_auc_counts_ties_half() -> None:
    tied = predictions_of(malignant=(0.5, 0.75), benign=(0.5, 0.25))
    # Three trapezoids of four roundings each, every one at most 2^-53.
    assert area_under_roc(tied.scores, tied.labels) == pytest.approx(
        (0.5 + 1 + 1 + 1) / 4, rel=0, abs=12 * 2**-53
    )


@pytest.mark.parametrize("threshold", [0.1, 0.45, 0.5, 0.73])
def test_metrics_agree_with_scikit_learn_on_random_scores(threshold: float) -> None:
    from sklearn.metrics import accuracy_score, confusion_matrix, f1_score
    from sklearn.metrics import precision_score as precision
    from sklearn.metrics import recall_score as recall

    predictions = random_predictions(count=300, seed=11)
    truth, called = predictions.labels, predictions.scores >= threshold
    counts = count_confusions(predictions, threshold=threshold)
    assert confusion_matrix(truth, called).tolist() == [
        [counts.true_negative, counts.false_positive],
        [counts.false_negative, counts.true_positive],
    ]
    measured = measure(predictions, threshold=threshold).as_dict()
    del measured["auc"]
    expected = {
        "recall": recall(truth, called),
        "specificity": recall(~truth, ~called),
        "precision": precision(truth, called),
        "f1": f1_score(truth, called),
        "accuracy": accuracy_score(truth, called),
    }
    # Both divide whole numbers: four roundings on the way are 4 * 2^-53 of the value.
    assert measured == pytest.approx(expected, rel=4 * 2**-53, abs=0)


def test_auc_agrees_with_counting_all_pairs_of_random_scores() -> None:
    predictions = random_predictions(count=200, seed=12)
    malignant = predictions.scores[predictions.labels][:, None]
    benign = predictions.scores[~predictions.labels][None, :]
    wins = int((malignant > benign).sum()) + int((malignant == benign).sum()) / 2
    expected = wins / (malignant.size * benign.size)
    # At most 200 trapezoids of four roundings each, every one at most 2^-53.
    assert area_under_roc(predictions.scores, predictions.labels) == pytest.approx(
        expected, rel=0, abs=800 * 2**-53
    )


def test_precision_is_undefined_when_nothing_is_called_malignant(ten: PredictionSet) -> None:
    measured = measure(ten, threshold=0.95)
    assert (measured.precision, measured.f1, measured.recall) == (None, 0.0, 0.0)
    assert "precision" not in measure_intervals(ten, threshold=0.95)


@pytest.mark.parametrize(
    ("malignant", "benign", "sentence"),
    [
        ((), (0.1, 0.9), "2 benign and 0 malignant images"),
        ((0.1, 0.9, 0.5), (), "0 benign and 3 malignant images"),
        ((), (), "0 benign and 0 malignant images"),
    ],
)
def test_recall_or_specificity_without_its_class_is_refused(
    malignant: tuple[float, ...], benign: tuple[float, ...], sentence: str
) -> None:
    predictions = predictions_of(malignant=malignant, benign=benign)
    with pytest.raises(EdgeMelanomaError) as caught:
        measure(predictions, threshold=0.5)
    assert str(caught.value) == (
        f"{sentence}: recall and specificity need at least one image of each class."
    )


@pytest.mark.parametrize(("successes", "trials"), [(0, 5), (8, 10), (7, 7), (19, 400)])
def test_wilson_interval_solves_wilsons_equation(successes: int, trials: int) -> None:
    z, share = NormalDist().inv_cdf(0.975), successes / trials
    middle = share + z**2 / (2 * trials)
    half = z * sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    expected = [(middle + sign * half) / (1 + z**2 / trials) for sign in (-1, 1)]
    # z is good to some 1e-15 and the formula has ten roundings on terms below 4: 1e-14 in all.
    assert wilson_interval(successes, trials) == pytest.approx(expected, rel=0, abs=1e-14)


def test_each_share_has_the_wilson_interval_of_its_own_counts(ten: PredictionSet) -> None:
    from scipy.stats import binomtest

    intervals = measure_intervals(ten, threshold=0.5)
    counted = {"recall": (3, 4), "specificity": (4, 6), "precision": (3, 5), "accuracy": (7, 10)}
    for name, (successes, trials) in counted.items():
        expected = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
        assert intervals[name] == (expected.low, expected.high)


def test_the_bootstrap_intervals_contain_their_values_and_are_seeded() -> None:
    predictions = random_predictions(count=120, seed=13)
    measured = measure(predictions, threshold=0.5)
    intervals = measure_intervals(predictions, threshold=0.5)
    for name, value in (("auc", measured.auc), ("f1", measured.f1)):
        low, high = intervals[name]
        assert low < value < high
    assert measure_intervals(predictions, threshold=0.5) == intervals


@pytest.mark.parametrize("count", [1, 2, 10, 100])
def test_a_few_pictures_ranked_perfectly_prove_no_perfect_auc(count: int) -> None:
    low, high = auc_interval(malignant=(0.9,) * count, benign=(0.1,) * count)
    assert high == 1.0
    assert low == pytest.approx(0.025 ** (1 / count))
    low, high = auc_interval(malignant=(0.1,) * count, benign=(0.9,) * count)
    assert low == 0.0
    assert high == pytest.approx(1 - 0.025 ** (1 / count))


def test_the_auc_interval_is_delongs_on_the_logit_scale() -> None:
    """By hand: 7 of 9 pairs; shares below 1, 2/3, 2/3 and above 1, 1, 1/3."""
    low, high = auc_interval(malignant=(0.9, 0.6, 0.5), benign=(0.1, 0.2, 0.7))
    area = 7 / 9
    error = sqrt((1 / 27) / 3 + (4 / 27) / 3) / (area * (1 - area))
    middle = log(area / (1 - area))
    bounds = [1 / (1 + exp(-(middle + sign * 1.959964 * error))) for sign in (-1, 1)]
    assert (low, high) == pytest.approx(bounds, abs=1e-6)


def auc_interval(*, malignant: tuple[float, ...], benign: tuple[float, ...]) -> Interval:
    predictions = predictions_of(malignant=malignant, benign=benign)
    return measure_intervals(predictions, threshold=0.5)["auc"]
