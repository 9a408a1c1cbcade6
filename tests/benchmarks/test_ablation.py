"""The table of shortened recipes, and what a change does to the recipe."""

from dataclasses import replace
from typing import Any

import numpy as np

from edge_melanoma.benchmarks.ablation import (
    ABLATIONS,
    SHORT_EPOCHS,
    SHORT_SIZE,
    Ablation,
    judge,
    render,
    shorten,
)
from edge_melanoma.predictions import PredictionSet
from edge_melanoma.variants import BACKBONE_LAYERS, BEST


def test_a_change_is_the_only_difference_between_two_short_recipes() -> None:
    plain = shorten(BEST, Ablation())
    (stage,) = plain.stages
    assert (stage.image_size, stage.epochs) == (SHORT_SIZE, SHORT_EPOCHS)
    whole = shorten(BEST, ABLATIONS["every layer trains"])
    assert whole == replace(
        plain, stages=(replace(stage, unfrozen_backbone_layers=BACKBONE_LAYERS),)
    )
    once = shorten(BEST, ABLATIONS["every picture once"])
    assert once == replace(plain, source_share=None)


def test_every_change_but_the_first_and_that_of_the_data_changes_the_recipe() -> None:
    plain = shorten(BEST, Ablation())
    same = {name for name, change in ABLATIONS.items() if shorten(BEST, change) == plain}
    assert same == {"best, in short", "largest set alone"}


def test_a_model_is_judged_on_all_sets_and_within_each() -> None:
    labels = np.array([False, True, False, True])
    predictions = PredictionSet(
        image_ids=("a", "b", "c", "d"), labels=labels, scores=np.array([0.6, 0.9, 0.1, 0.5])
    )
    told = judge(predictions, np.array(["one", "one", "two", "two"]))
    assert told["auc"] == 3 / 4
    assert told["auc_by_source"] == {"one": 1.0, "two": 1.0}
    assert told["specificity"] == 1 / 2


def test_the_table_tells_pictures_epochs_and_size() -> None:
    row: dict[str, Any] = {
        "auc": 0.9,
        "specificity": 0.75,
        "auc_by_source": {"one": 0.95, "two": 0.85},
        "cpu_seconds": 90,
    }
    lines = render(
        {
            "rows": {"best, in short": row},
            "images": {"train": 10, "validation": 4},
            "machine": {"cpu": "A CPU", "cores": 2},
            "epochs": 2,
            "size": 96,
        }
    )
    assert lines[2] == "| best, in short | 0.9000 | 0.750 | one 0.9500, two 0.8500 | 1.5 |"
    assert lines[-1].startswith(
        "10 training and 4 validation pictures, 2 epochs at 96 pixels, one seed, A CPU, 2 cores."
    )
