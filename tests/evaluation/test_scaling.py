"""A known temperature and offset are found again, and the network's last layer takes them over."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_network import make_pictures, make_sound_network

from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.evaluation.metrics import area_under_roc
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.evaluation.reliability import (
    SLOPES,
    TemperatureScaling,
    fit_scaling,
)
from edge_melanoma.tflite.quantization import sigmoid

IMAGES = 3000


def records_of(labels: Any, *, dataset: str | None = None) -> tuple[LesionRecord, ...]:
    return tuple(
        LesionRecord(
            image_id=f"{dataset}:{number}",
            path=Path(f"{number}.png"),
            is_malignant=bool(label),
            dataset=dataset,
        )
        for number, label in enumerate(labels)
    )


def simulated(*, temperature: float, offset: float, seed: int, images: int = IMAGES) -> Any:
    """Scores that a scaling with these numbers makes probabilities, and the labels."""
    random = np.random.default_rng(seed)
    logits = random.choice([-2.0, 2.0], images) + random.normal(0, 1.5, images)
    labels = random.random(images) < sigmoid(logits)
    return sigmoid((logits - offset) * temperature), labels


def predictions_of(scores: Any, labels: Any) -> PredictionSet:
    ids = tuple(map(str, range(len(labels))))
    return PredictionSet(image_ids=ids, labels=labels, scores=scores)


def fitted(*, temperature: float, offset: float, seed: int = 0) -> dict[str, Any]:
    scores, labels = simulated(temperature=temperature, offset=offset, seed=seed)
    records = records_of(labels)
    return fit_scaling(predictions_of(scores, labels), records=records)[1]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_temperature_is_found_again_and_no_offset_is_made_up(temperature: float) -> None:
    found = fitted(temperature=temperature, offset=0.0)
    assert found["offset"] == 0.0
    # A slope of 1 has a standard error of some .04 with so many pictures.
    assert found["temperature"] == pytest.approx(temperature, rel=0.12)


def test_an_offset_is_found_where_there_is_one() -> None:
    found = fitted(temperature=1.5, offset=0.8)
    assert found["temperature"] == pytest.approx(1.5, rel=0.12)
    assert found["offset"] == pytest.approx(0.8, abs=0.15)
    assert found["offset_gain"] > found["offset_gain_error"] > 0
    assert found["why"].endswith("more than one error")


def test_a_fit_lowers_the_log_loss_and_the_calibration_error() -> None:
    found = fitted(temperature=2.5, offset=0.0)
    assert found["log_loss_after"] < found["log_loss_before"]
    # Chance alone gives some .015.
    assert found["ece_after"] < 0.025 < 0.08 < found["ece_before"]
    assert (found["side"], found["images"], found["weights"]) == ("validation", IMAGES, {})
    assert found["why"].endswith("no more than one error: it is left out")


def test_a_scaling_keeps_the_order_of_the_scores_and_the_auc() -> None:
    scores, labels = simulated(temperature=2.0, offset=0.5, seed=3)
    scaled = TemperatureScaling(temperature=1.7, offset=-0.6).apply(scores)
    assert np.array_equal(np.argsort(scaled, kind="stable"), np.argsort(scores, kind="stable"))
    before, after = (area_under_roc(one, labels) for one in (scores, scaled))
    assert before == after


def test_a_temperature_alone_moves_no_decision_at_one_half() -> None:
    scores, _ = simulated(temperature=1.0, offset=0.0, seed=4)
    scaled = TemperatureScaling(temperature=3.0, offset=0.0).apply(scores)
    assert np.array_equal(scaled >= 0.5, scores >= 0.5)


def test_the_folded_layer_gives_the_scores_of_the_formula() -> None:
    from edge_melanoma.runtime.classifiers import KerasClassifier

    network, (pictures, _) = make_sound_network(), make_pictures()
    classifier = KerasClassifier(network)
    before = classifier.malignant_scores(pictures)
    scaling = TemperatureScaling(temperature=1.6, offset=0.7)
    scaling.fold_into(network)
    after = classifier.malignant_scores(pictures)
    assert np.abs(after - before).max() > 0.05
    # float32 keeps 24 bits of logits below 16: 1e-6, of which a sigmoid passes a quarter; and the
    # formula's logit of a float32 score near 1 has lost some more.
    np.testing.assert_allclose(after, scaling.apply(before), rtol=0, atol=2e-5)


def test_scores_of_exactly_0_and_1_have_a_finite_loss() -> None:
    scores, labels = np.array([0.0, 1.0] * 20), np.array([False, True, True, False] * 10)
    records = records_of(labels)
    found = fit_scaling(predictions_of(scores, labels), records=records)[1]
    assert np.isfinite(found["log_loss_before"])
    assert found["temperature"] == pytest.approx(1 / SLOPES[0])


def test_separable_classes_stop_at_the_bound() -> None:
    labels = np.arange(40) >= 20
    scores = np.linspace(0.3, 0.7, 40)
    records = records_of(labels)
    found = fit_scaling(predictions_of(scores, labels), records=records)[1]
    assert found["temperature"] == pytest.approx(1 / SLOPES[1])


def test_sources_weigh_alike_however_many_pictures_they_have() -> None:
    first, other = (
        simulated(temperature=temperature, offset=0.0, seed=seed, images=images)
        for temperature, seed, images in ((2.0, 5, 2000), (0.5, 6, 500))
    )
    scores, labels = (np.concatenate(pair) for pair in zip(first, other, strict=True))
    records = records_of(labels[:2000], dataset="a") + records_of(labels[2000:], dataset="b")
    found = fit_scaling(predictions_of(scores, labels), records=records)[1]
    assert found["weights"] == {"a": 0.625, "b": 2.5}
    assert found["images"] == 2500
    # The same as if the small one had been met four times as often.
    often = np.concatenate([first, *[other] * 4], axis=1)
    repeated = tuple(
        replace(record, image_id=str(number))
        for number, record in enumerate([*records[:2000], *records[2000:] * 4])
    )
    expected = fit_scaling(predictions_of(often[0], often[1] > 0), records=repeated)[1]
    assert expected["weights"] == {"a": 1.0, "b": 1.0}
    assert found["log_loss_before"] == pytest.approx(expected["log_loss_before"])
    assert found["temperature"] == pytest.approx(expected["temperature"], rel=1e-3)


def test_a_source_of_one_class_has_no_say_beside_one_with_both() -> None:
    scores, labels = simulated(temperature=2.0, offset=0.0, seed=5, images=2000)
    records = records_of(labels, dataset="a")
    alone = fit_scaling(predictions_of(scores, labels), records=records)[1]
    benign = np.full(1000, 0.99)
    together = fit_scaling(
        predictions_of(np.append(scores, benign), np.append(labels, benign < 0)),
        records=records + records_of(benign < 0, dataset="b"),
    )[1]
    assert together["weights"] == {"a": 1.5, "b": 0.0}
    assert together["images"] == 2000
    assert together["log_loss_after"] == pytest.approx(alone["log_loss_after"])
    assert together["temperature"] == pytest.approx(alone["temperature"], rel=1e-3)


def test_where_no_source_has_both_classes_every_picture_weighs_alike() -> None:
    scores, labels = simulated(temperature=1.5, offset=0.0, seed=7, images=1000)
    order = np.argsort(labels, kind="stable")
    scores, labels = scores[order], labels[order]
    benign = int((~labels).sum())
    apart = records_of(labels[:benign], dataset="a") + records_of(labels[benign:], dataset="b")
    found = fit_scaling(predictions_of(scores, labels), records=apart)[1]
    expected = fit_scaling(predictions_of(scores, labels), records=records_of(labels))[1]
    assert (found["weights"], found["images"]) == ({"a": 1.0, "b": 1.0}, 1000)
    assert found["temperature"] == expected["temperature"]
