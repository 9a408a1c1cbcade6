"""Areas under the ROC curve: by hand, against scikit-learn, and how far chance moves a drop."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from made import predictions_of
from numpy.typing import NDArray

from edge_melanoma.benchmarks.parity.statistics import (
    drop_error,
    has_enough,
    partial_auc,
)
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation import metrics
from edge_melanoma.evaluation.predictions import PredictionSet


def area_under_roc(predictions: PredictionSet) -> float:
    return metrics.area_under_roc(predictions.scores, predictions.labels)


def pair_of(count: int, *, seed: int) -> tuple[PredictionSet, PredictionSet]:
    random = np.random.default_rng(seed)
    labels = np.arange(count) < count // 3
    logits = random.normal(size=count) + 2.0 * labels
    ids = tuple(map(str, range(count)))
    before, after = (
        PredictionSet(image_ids=ids, labels=labels, scores=1 / (1 + np.exp(-shifted)))
        for shifted in (logits, logits + random.normal(scale=0.4, size=count))
    )
    return before, after


def test_swapping_the_models_leaves_the_error() -> None:
    before, after = pair_of(90, seed=2)
    for min_recall in (0.0, 0.8):
        there = drop_error(before, after, min_recall=min_recall)
        assert there == drop_error(after, before, min_recall=min_recall)


def test_the_order_of_the_scores_alone_counts() -> None:
    before, after = pair_of(60, seed=3)
    cubed = PredictionSet(image_ids=after.image_ids, labels=after.labels, scores=after.scores**3)
    assert drop_error(before, after) == drop_error(before, cubed)


def test_the_error_of_the_whole_area_is_delongs_of_counted_pairs() -> None:
    before, after = pair_of(120, seed=5)
    wins = _wins(before) - _wins(after)
    variances = [np.var(one.mean(axis=1), ddof=1) / len(one) for one in (wins, wins.T)]
    # Both are the same sums of halves, in another order.
    assert drop_error(before, after) == pytest.approx(float(np.sqrt(sum(variances))), rel=1e-9)


def _wins(predictions: PredictionSet) -> NDArray[np.float64]:
    positive = predictions.scores[predictions.labels][:, np.newaxis]
    negative = predictions.scores[~predictions.labels][np.newaxis]
    wins: NDArray[np.float64] = (positive > negative) + 0.5 * (positive == negative)
    return wins


@pytest.mark.parametrize(("area", "min_recall"), [(area_under_roc, 0.0), (partial_auc, 0.8)])
def test_the_error_is_the_spread_over_new_pictures(
    area: Callable[[PredictionSet], float], min_recall: float
) -> None:
    drops, errors = [], []
    for seed in range(120):
        before, after = pair_of(300, seed=seed)
        drops.append(area(before) - area(after))
        errors.append(drop_error(before, after, min_recall=min_recall))
    # 120 draws know a standard deviation to 6.5 %; four of these.
    assert np.std(drops) == pytest.approx(np.mean(errors), rel=0.26)


@pytest.mark.parametrize("min_recall", [0.0, 0.8])
def test_models_that_rank_alike_leave_the_doubt_of_one_pair(min_recall: float) -> None:
    before, _ = pair_of(30, seed=6)
    error = drop_error(before, before, min_recall=min_recall)
    assert error == pytest.approx(2**0.5 / (10 * 20))


@pytest.mark.parametrize(("malignant", "benign", "enough"), [(10, 10, 1), (9, 99, 0), (99, 9, 0)])
def test_ten_of_each_class_are_asked_for(malignant: int, benign: int, enough: int) -> None:
    predictions = predictions_of(malignant=(0.9,) * malignant, benign=(0.1,) * benign)
    assert has_enough(predictions) == bool(enough)


def test_sets_of_other_images_are_refused() -> None:
    before = predictions_of(malignant=(0.9,), benign=(0.1,))
    other = predictions_of(malignant=(0.9,), benign=(0.1, 0.2))
    with pytest.raises(EdgeMelanomaError) as caught:
        drop_error(before, other)
    assert str(caught.value) == (
        "The two prediction sets are of different images; score both models on the same ones."
    )


def test_perfect_scores_have_the_whole_fifth() -> None:
    assert partial_auc(predictions_of(malignant=(0.9, 0.8), benign=(0.1,))) == pytest.approx(0.2)


def test_equal_scores_have_what_chance_has() -> None:
    # The diagonal: 1 - false alarm rate runs from 0.2 to 0 over recalls from 0.8 to 1.
    found = partial_auc(predictions_of(malignant=(0.5, 0.5), benign=(0.5, 0.5, 0.5)))
    assert found == pytest.approx(0.02)


def test_the_last_melanomas_alone_count() -> None:
    # Recall 0.8 is reached with the fourth of five; the fifth lies below two of four benign ones,
    # so that the last fifth of recall costs half of the false alarms.
    predictions = predictions_of(malignant=(0.9, 0.9, 0.9, 0.9, 0.3), benign=(0.4, 0.4, 0.1, 0.1))
    assert partial_auc(predictions) == pytest.approx(0.2 * 0.5)


def test_a_recall_of_80_percent_inside_a_tie_cuts_its_line() -> None:
    # One line from (0, 0.5) to (0.5, 1): at recall 0.8 the false alarm rate is 0.3, then 0.5.
    predictions = predictions_of(malignant=(0.9, 0.5), benign=(0.5, 0.1))
    assert partial_auc(predictions) == pytest.approx(0.2 * (0.7 + 0.5) / 2)


@pytest.mark.parametrize("steps", [8, 256, 10**6])
def test_the_area_is_that_of_each_straight_piece_of_the_curve_whatever_the_ties(steps: int) -> None:
    from sklearn.metrics import roc_curve

    random = np.random.default_rng(steps)
    labels = random.random(300) < 0.4
    scores = np.round((random.random(300) + labels * 0.3) / 1.3 * steps) / steps
    predictions = PredictionSet(image_ids=tuple(map(str, range(300))), labels=labels, scores=scores)
    alarms, recalls, _ = roc_curve(labels, scores, drop_intermediate=False)
    area = 0.0
    for (left, right), (low, high) in zip(pairwise(alarms), pairwise(recalls), strict=True):
        if high > max(low, 0.8):
            start = max(low, 0.8)
            alarm = left + (right - left) * (start - low) / (high - low)
            area += (high - start) * (1 - (alarm + right) / 2)
    assert partial_auc(predictions) == pytest.approx(area, abs=1e-12)
