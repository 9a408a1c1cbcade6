"""What must hold for all numbers, not only for those that somebody thought of."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from made import predictions_of
from sklearn.metrics import roc_auc_score

from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.splits import split_lesions
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.metrics import (
    area_under_roc,
    count_confusions,
    measure,
    wilson_interval,
)
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.evaluation.thresholds import choose_operating_point, snap_to_output
from edge_melanoma.tflite.quantization import ScoreTensor, TensorQuantization, logit, sigmoid

SCALES = st.floats(1e-6, 1e3)
TYPES = st.sampled_from(("int8", "uint8", "int16"))
SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=40)
few = settings(max_examples=50, deadline=None, derandomize=True)


@st.composite
def quantizations(draw: st.DrawFn) -> TensorQuantization:
    dtype = draw(TYPES)
    limits = np.iinfo(dtype)
    zero_point = draw(st.integers(int(limits.min), int(limits.max)))
    return TensorQuantization(dtype=dtype, scale=draw(SCALES), zero_point=zero_point)


@st.composite
def predictions(draw: st.DrawFn) -> PredictionSet:
    return predictions_of(malignant=tuple(draw(SCORES)), benign=tuple(draw(SCORES)))


@few
@given(quantizations(), st.lists(st.floats(-1e4, 1e4), min_size=1))
def test_quantising_rounds_to_the_nearest_step_or_the_last(
    quantization: TensorQuantization, values: list[float]
) -> None:
    numbers = np.array(values)
    limits = np.iinfo(quantization.dtype)
    ends = quantization.dequantize(np.array([limits.min, limits.max], quantization.dtype))
    found = quantization.dequantize(quantization.quantize(numbers))
    nearest = np.abs(found - numbers.clip(*ends))
    # Half a step, and the last bits of a product of numbers up to 1e4.
    assert np.all(nearest <= quantization.scale / 2 + 1e-11 * np.abs(numbers))


@few
@given(quantizations())
def test_every_integer_comes_back_from_its_real_number(quantization: TensorQuantization) -> None:
    limits = np.iinfo(quantization.dtype)
    integers = np.arange(limits.min, limits.max + 1).astype(quantization.dtype)
    again = quantization.quantize(quantization.dequantize(integers))
    np.testing.assert_array_equal(again, integers)


@few
@given(quantizations(), st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
def test_quantising_keeps_order(quantization: TensorQuantization, one: float, other: float) -> None:
    low, high = quantization.quantize(np.sort([one, other]))
    assert low <= high


@few
@given(st.floats(-700, 700))
def test_sigmoid_and_logit_undo_each_other_and_stay_within_bounds(number: float) -> None:
    score = sigmoid(np.array([number]))
    assert 0 <= score[0] <= 1
    assert score[0] + sigmoid(np.array([-number]))[0] == pytest.approx(1)
    if abs(number) < 15:
        assert logit(score)[0] == pytest.approx(number, abs=1e-8)


@few
@given(predictions(), st.floats(0.01, 1))
def test_an_operating_point_reaches_its_recall_and_no_higher_score_would(
    validation: PredictionSet, min_recall: float
) -> None:
    point = choose_operating_point(validation, min_recall=min_recall)
    assert point.recall >= min_recall - 1e-9
    higher = np.unique(validation.scores[validation.scores > point.threshold])[1:2]
    for threshold in higher:
        counts = count_confusions(validation, threshold=float(threshold))
        # The next higher score is the deciding one; the one above it loses the recall.
        recall = counts.true_positive / (counts.true_positive + counts.false_negative)
        above = validation.scores[validation.scores >= point.threshold].min()
        assert threshold <= above or recall < min_recall


@few
@given(predictions(), st.sampled_from(("int8", "uint8")), st.floats(0.05, 1))
def test_the_integer_of_an_operating_point_decides_as_its_threshold_does(
    raw: PredictionSet, dtype: str, min_recall: float
) -> None:
    zero_point = -128 if dtype == "int8" else 0
    quantization = TensorQuantization(dtype=dtype, scale=1 / 256, zero_point=zero_point)
    output = ScoreTensor(name="p_malignant", quantization=quantization)
    integers = quantization.quantize(raw.scores)
    scores = output.scores(integers)
    validation = PredictionSet(image_ids=raw.image_ids, labels=raw.labels, scores=scores)
    point = choose_operating_point(validation, min_recall=min_recall)
    snapped = snap_to_output(point, output)
    assert snapped.integer is not None
    by_integer = integers.astype(int) >= snapped.integer
    np.testing.assert_array_equal(by_integer, validation.decisions(threshold=point.threshold))
    np.testing.assert_array_equal(
        by_integer, validation.decisions(threshold=snapped.point.threshold)
    )


@few
@given(predictions(), st.floats(0, 1))
def test_counts_add_up_and_metrics_are_shares(found: PredictionSet, threshold: float) -> None:
    counts = count_confusions(found, threshold=threshold)
    positives, negatives = int(found.labels.sum()), int((~found.labels).sum())
    assert counts.true_positive + counts.false_negative == positives
    assert counts.true_negative + counts.false_positive == negatives
    metrics = measure(found, threshold=threshold)
    assert metrics.recall == counts.true_positive / positives
    assert metrics.specificity == counts.true_negative / negatives
    assert 0 <= metrics.accuracy <= 1
    assert 0 <= metrics.f1 <= 1


@few
@given(predictions(), st.floats(0, 1), st.floats(0, 1))
def test_a_lower_threshold_never_loses_a_melanoma(
    found: PredictionSet, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    lower, higher = (count_confusions(found, threshold=t) for t in (low, high))
    assert lower.true_positive >= higher.true_positive
    assert lower.true_negative <= higher.true_negative


@few
@given(predictions())
def test_the_auc_is_that_of_scikit_learn_and_turns_with_the_labels(found: PredictionSet) -> None:
    auc = area_under_roc(found.scores, found.labels)
    assert auc == pytest.approx(roc_auc_score(found.labels, found.scores))
    turned = PredictionSet(image_ids=found.image_ids, labels=~found.labels, scores=found.scores)
    assert auc + area_under_roc(turned.scores, turned.labels) == pytest.approx(1)


@few
@given(st.integers(1, 5000), st.data())
def test_an_interval_holds_its_share_and_lies_within_bounds(
    trials: int, data: st.DataObject
) -> None:
    successes = data.draw(st.integers(0, trials))
    low, high = wilson_interval(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1


@st.composite
def lesions(draw: st.DrawFn) -> tuple[LesionRecord, ...]:
    """Pictures of lesions, some with several pictures, some of equal bytes."""
    rows = draw(
        st.lists(
            st.tuples(st.booleans(), st.integers(0, 30), st.integers(0, 60)),
            min_size=30,
            max_size=80,
        )
    )
    return tuple(
        LesionRecord(
            image_id=f"{number}.png",
            path=Path(f"{number}.png"),
            is_malignant=malignant,
            lesion_id=f"{malignant}-{lesion}" if lesion < 20 else None,
            sha256=f"{malignant}-{content}" if content < 10 else f"own-{number}",
        )
        for number, (malignant, lesion, content) in enumerate(rows)
    )


@few
@given(lesions(), st.integers(0, 3))
def test_a_split_holds_every_picture_once_and_no_lesion_twice(
    records: tuple[LesionRecord, ...], seed: int
) -> None:
    try:
        split = split_lesions(records, seed=seed)
    except EdgeMelanomaError:
        # Too few groups of a class for three sides.
        assume(False)
        return
    sides = split.sides()
    ids = [record.image_id for side in sides.values() for record in side]
    assert sorted(ids) == sorted(record.image_id for record in records)
    for group in ("lesion_id", "sha256"):
        seen: dict[str, str] = {}
        for name, side in sides.items():
            for record in side:
                key = getattr(record, group)
                assert key is None or seen.setdefault(key, name) == name
    shuffled = tuple(reversed(records))
    assert split_lesions(shuffled, seed=seed).fingerprint == split.fingerprint
