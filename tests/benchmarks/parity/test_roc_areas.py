"""Areas under the ROC curve, counted in squares and against scikit-learn."""

import numpy as np
import pytest
from made import predictions_of

from edge_melanoma.benchmarks.parity.bootstrap import partial_auc, roc_areas
from edge_melanoma.evaluation.predictions import PredictionSet


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
def test_both_areas_agree_with_scikit_learn_whatever_the_ties(steps: int) -> None:
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(steps)
    labels = random.random(300) < 0.4
    scores = np.round((random.random(300) + labels * 0.3) / 1.3 * steps) / steps
    predictions = PredictionSet(image_ids=tuple(map(str, range(300))), labels=labels, scores=scores)
    (area,), _ = roc_areas(labels, scores, np.ones((300, 1), dtype=np.int64))
    # Some 300 additions of numbers below 1.
    assert area == pytest.approx(roc_auc_score(labels, scores), abs=1e-13)
    # With the classes swapped, recalls from 0.8 are false alarms up to 0.2; McClish's scaling of
    # the area a to 0.5 + (a - 0.02) / 0.36 is undone.
    scaled = roc_auc_score(~labels, 1 - scores, max_fpr=0.2)
    assert partial_auc(predictions) == pytest.approx(0.02 + 0.36 * (scaled - 0.5), abs=1e-12)


def test_a_weight_of_two_is_the_image_twice() -> None:
    labels, scores = np.array([True, True, False, False]), np.array([0.9, 0.2, 0.3, 0.2])
    weights = np.array([[2, 1], [1, 0], [1, 1], [3, 1]])
    areas, parts = roc_areas(labels, scores, weights)
    copies = np.repeat(np.arange(4), weights[:, 0])
    (area,), (part,) = roc_areas(labels[copies], scores[copies], np.ones((7, 1), dtype=np.int64))
    assert (areas[0], parts[0]) == pytest.approx((area, part), abs=1e-15)
    assert (areas[1], parts[1]) == pytest.approx((1.0, 0.2), abs=1e-15)
