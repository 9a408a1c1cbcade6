"""The paired bootstrap: what it must keep together, and against scipy and DeLong."""

import numpy as np
import pytest
from made import predictions_of
from numpy.typing import NDArray

from edge_melanoma.benchmarks.parity.bootstrap import (
    p_above,
    partial_auc,
    percentile_interval,
    resample_drops,
    roc_areas,
    upper_bound,
)
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import PredictionSet


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


def test_a_model_has_no_drop_against_itself_in_any_resample() -> None:
    before, _ = pair_of(90, seed=1)
    drops = resample_drops(before, before, threshold=0.5, resamples=50)
    assert all(np.all(samples == 0) for samples in drops.values())


def test_swapping_the_models_turns_every_drop() -> None:
    before, after = pair_of(90, seed=2)
    there = resample_drops(before, after, threshold=0.5, resamples=50)
    back = resample_drops(after, before, threshold=0.5, resamples=50)
    for name, forward in there.items():
        np.testing.assert_array_equal(forward, -back[name])


def test_equal_seeds_draw_equal_images_whatever_the_candidate() -> None:
    before, after = pair_of(60, seed=3)
    other = PredictionSet(image_ids=after.image_ids, labels=after.labels, scores=after.scores**3)
    first, same, another = (
        resample_drops(before, candidate, threshold=0.5, resamples=30, seed=seed)
        for candidate, seed in ((after, 7), (other, 7), (after, 8))
    )
    # A cube keeps the order of the scores, so that its areas are those of the same draws.
    np.testing.assert_array_equal(first["auc"], same["auc"])
    assert not np.array_equal(first["auc"], another["auc"])


def test_classes_keep_their_sizes() -> None:
    # One malignant image, lost: every stratified resample holds it and loses all recall.
    before = predictions_of(malignant=(0.9,), benign=(0.1, 0.2, 0.3))
    after = predictions_of(malignant=(0.4,), benign=(0.1, 0.2, 0.3))
    drops = resample_drops(before, after, threshold=0.5, resamples=20)
    assert set(drops["recall"]) == {1.0}
    assert set(drops["accuracy"]) == {0.25}
    assert set(drops["specificity"]) == {0.0}


def test_one_lost_of_two_is_lost_never_once_or_twice() -> None:
    before = predictions_of(malignant=(0.9, 0.9), benign=(0.1,))
    after = predictions_of(malignant=(0.4, 0.9), benign=(0.1,))
    drops = resample_drops(before, after, threshold=0.5, resamples=4000)["recall"]
    shares = [np.mean(drops == value) for value in (0.0, 0.5, 1.0)]
    # Two draws of two: 1/4, 1/2, 1/4; four standard errors of 4,000 are 0.032.
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.032)


def test_recall_agrees_with_scipys_paired_bootstrap() -> None:
    from scipy.stats import bootstrap

    before, after = pair_of(300, seed=4)
    malignant = before.labels
    pair = tuple(p.decisions(threshold=0.5)[malignant].astype(float) for p in (before, after))
    oracle = bootstrap(
        pair,
        lambda one, other, axis: one.mean(axis=axis) - other.mean(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=4000,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    interval = percentile_interval(
        resample_drops(before, after, threshold=0.5, resamples=4000)["recall"]
    )
    # Drops step by 1/100, and two sets of draws may part by one step.
    assert interval == pytest.approx(tuple(oracle.confidence_interval), abs=0.0101)


def test_the_spread_of_the_area_is_delongs() -> None:
    before, after = pair_of(600, seed=5)
    drops = resample_drops(before, after, threshold=0.5)["auc"]
    # 2,000 draws know a standard deviation to 1.6 %; DeLong's is an estimate of the same order.
    assert drops.std() == pytest.approx(_delong_error(before, after), rel=0.08)


def _delong_error(before: PredictionSet, after: PredictionSet) -> float:
    """Standard error of the difference of two areas on the same images (DeLong et al., 1988)."""
    rows, columns = (_placements(before), _placements(after))
    variances = [
        np.var(one - other, ddof=1) / len(one) for one, other in zip(rows, columns, strict=True)
    ]
    return float(np.sqrt(sum(variances)))


def _placements(
    predictions: PredictionSet,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    positive = predictions.scores[predictions.labels][:, np.newaxis]
    negative = predictions.scores[~predictions.labels][np.newaxis]
    wins = (positive > negative) + 0.5 * (positive == negative)
    return wins.mean(axis=1), wins.mean(axis=0)


def test_bounds_and_p_are_counted_from_the_samples() -> None:
    samples = np.arange(101) / 100
    # Exact quantiles, but for the rounding of an interpolation between neighbours.
    assert percentile_interval(samples) == pytest.approx((0.025, 0.975), abs=1e-12)
    # Four of 101 lie above 0.96, and with the one in advance that is 5 of 102; a fifth is too many.
    assert upper_bound(samples) == 0.96
    assert p_above(samples, 0.9601) == 5 / 102 < 0.05 < p_above(samples, 0.96)
    assert p_above(samples, 0.98) == (1 + 3) / (1 + 101)
    assert p_above(samples, 2.0) == 1 / 102


def test_sets_of_other_images_are_refused() -> None:
    before = predictions_of(malignant=(0.9,), benign=(0.1,))
    other = predictions_of(malignant=(0.9,), benign=(0.1, 0.2))
    with pytest.raises(EdgeMelanomaError) as caught:
        resample_drops(before, other, threshold=0.5)
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
