"""The recipe for the outside, in small: clinics, diagnoses, two sizes, resumed exactly."""

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from interruption import resume_after_death

from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.listing import read_lesions
from edge_melanoma.data.screening import screen_images
from edge_melanoma.data.splits import split_lesions
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.network.recipes import VARIANTS, Variant

VIEWS = 48


def told_of(records: tuple[LesionRecord, ...]) -> tuple[LesionRecord, ...]:
    """The records with two clinics, and in one of them with diagnoses."""

    def of(number: int, record: LesionRecord) -> LesionRecord:
        if number % 2:
            return replace(record, clinic="plain")
        benign = "bkl" if number % 3 else "nv"
        name = "mel" if record.is_malignant else benign
        return replace(record, clinic="HAM", attributes=(("diagnosis", name),))

    return tuple(of(number, record) for number, record in enumerate(records))


def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe's own stages, at 64 and 96 pixels, one epoch and then two."""
    from edge_melanoma.training import material

    spec = VARIANTS[Variant.BEST]
    stages = tuple(
        replace(stage, image_size=size, epochs=epochs, warmup_steps=2)
        for stage, size, epochs in zip(spec.stages, (64, 96), (1, 2), strict=True)
    )
    assert spec.sampling is not None
    recipe = replace(
        spec, stages=stages, batch_size=8, sampling=replace(spec.sampling, views=VIEWS)
    )
    monkeypatch.setattr(material, "VARIANTS", MappingProxyType({Variant.BEST: recipe}))


@pytest.mark.thorough
def test_an_interrupted_training_ends_with_the_same_weights(
    phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_melanoma.network.network import arrays_of
    from edge_melanoma.training import training
    from edge_melanoma.training.material import TrainingSettings

    small(monkeypatch)
    split = split_lesions(told_of(screen_images(read_lesions(phantoms)).readable), seed=3)

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
    # What named diagnoses while it trained gives the score alone.
    assert whole.network.output_shape == (None, 1)
    assert not [name for name in expected if name.startswith("diagnosis")]
    assert all(0 <= row["val_macro_auc"] <= 1 for row in whole.history)
    assert [row["stage"] for row in whole.history] == [
        "160 pixels",
        "224 pixels",
        "224 pixels",
    ]
