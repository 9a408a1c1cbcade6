"""The recipe for the outside, in small: two sizes, averaged weights, resumed exactly."""

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from interruption import resume_after_death

from edge_melanoma.data.lesions import read_lesions
from edge_melanoma.data.screening import screen_images
from edge_melanoma.data.splits import split_lesions
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.network.recipes import VARIANTS, Variant


def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe's own stages, at 64 and 96 pixels, one epoch and then two."""
    from edge_melanoma.training import trainees

    spec = VARIANTS[Variant.BEST]
    stages = tuple(
        replace(stage, image_size=size, epochs=epochs, warmup_steps=2)
        for stage, size, epochs in zip(spec.stages, (64, 96), (1, 2), strict=True)
    )
    recipe = replace(spec, stages=stages, batch_size=8)
    monkeypatch.setattr(trainees, "VARIANTS", MappingProxyType({Variant.BEST: recipe}))


def test_an_interrupted_training_ends_with_the_same_weights(
    phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_melanoma.network.network import arrays_of
    from edge_melanoma.training import training
    from edge_melanoma.training.trainees import TrainingSettings

    small(monkeypatch)
    split = split_lesions(screen_images(read_lesions(phantoms)).readable, seed=3)

    def train(folder: Path, *, resume: bool) -> Any:
        folder.mkdir(exist_ok=True)
        return training.train_network(
            split,
            TrainingSettings(variant=Variant.BEST, weights="none"),
            run_folder=folder,
            cache_folder=tmp_path / "cache",
            reporter=SilentReporter(),
            resume=resume,
        )

    whole = train(tmp_path / "whole", resume=False)
    resumed = resume_after_death(train, tmp_path / "cut", monkeypatch)
    expected = arrays_of(whole.network)
    for name, array in arrays_of(resumed.network).items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-4, atol=1e-5, err_msg=name)
    assert whole.network.input_shape == (None, 224, 224, 3)
    assert [row["stage"] for row in whole.history] == [
        "160 pixels",
        "224 pixels",
        "224 pixels",
    ]


def test_the_average_lies_between_the_weights_it_has_seen() -> None:
    from edge_melanoma.machine.tensorflow import tf_keras
    from edge_melanoma.network.network import arrays_of
    from edge_melanoma.training.averaging import UPDATE_INTERVAL, WeightAverage

    layer = tf_keras.layers.Dense(1, use_bias=False, name="d")
    network = tf_keras.Sequential([layer])
    network.build((None, 1))
    average = WeightAverage(network, decay=0.99, arrays={})
    for earlier, value in ((0, 1.0), (UPDATE_INTERVAL, 3.0)):
        layer.kernel.assign([[value]])
        for step in range(UPDATE_INTERVAL):
            average.update(steps=earlier + step + 1)
    with average.in_network():
        (seen,) = arrays_of(network).values()
    assert 1.0 < float(seen[0, 0]) < 3.0
    (after,) = arrays_of(network).values()
    assert float(after[0, 0]) == 3.0
    average.settle()
    (settled,) = arrays_of(network).values()
    assert float(settled[0, 0]) == float(seen[0, 0])
