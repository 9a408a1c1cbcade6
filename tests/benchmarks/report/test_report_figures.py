"""The figures say in words what they show, and hold no more of a cloud than a picture."""

import numpy as np
import pytest
from made import predictions_of

from edge_melanoma.benchmarks.report.figures import (
    draw_bland_altman,
    draw_histograms,
    draw_roc_overlay,
    draw_scatter,
)
from edge_melanoma.evaluation.predictions import PredictionSet

BEFORE = predictions_of(malignant=(0.9, 0.8, 0.4), benign=(0.1, 0.2, 0.6))
AFTER = predictions_of(malignant=(0.95, 0.8, 0.35), benign=(0.2, 0.1, 0.66))


def test_the_scatter_says_whose_scores_and_how_many() -> None:
    svg = draw_scatter(BEFORE, AFTER, threshold=0.25, mode="int8", prefix="a")
    assert (
        'aria-label="Scores of int8 over scores of Keras for 6 images; dashed lines at the '
        'threshold 0.250"'
    ) in svg


def test_bland_altman_names_the_mean_difference_and_the_limits_of_agreement() -> None:
    svg = draw_bland_altman(BEFORE, AFTER, threshold=0.25, mode="int8", prefix="a")
    # Differences 0.05, 0, -0.05, 0.1, -0.1, 0.06: mean 0.01, variance 0.028 / 5, 1.96 * 0.074833.
    assert "mean difference +0.0100, 95 % limits of agreement -0.1367 to +0.1567" in svg


def test_histograms_have_the_malignant_images_above() -> None:
    svg = draw_histograms(BEFORE, AFTER, threshold=0.25, mode="int8", prefix="a")
    assert svg.index(">malignant images</text>") < svg.index(">benign images</text>")
    assert "mathdefault" not in svg


def test_the_roc_overlay_names_every_model() -> None:
    models = {"Keras": BEFORE, "float32": BEFORE, "int8": AFTER}
    svg = draw_roc_overlay(models, threshold=0.25, prefix="roc")
    assert 'aria-label="ROC curves of Keras, float32, int8, ' in svg
    for name in models:
        assert f">{name}</text>" in svg


@pytest.mark.parametrize("draw", [draw_scatter, draw_bland_altman])
def test_a_cloud_of_many_images_stays_small(draw: object) -> None:
    random = np.random.default_rng(0)
    many = PredictionSet(
        image_ids=tuple(map(str, range(20_000))),
        labels=np.arange(20_000) % 2 == 0,
        scores=random.random(20_000),
    )
    assert callable(draw)
    # As paths it would be over a megabyte.
    assert len(draw(many, many, threshold=0.5, mode="int8", prefix="a")) < 300_000
