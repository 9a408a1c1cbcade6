"""Training on a handful of generated pictures: the cache, the frozen part, resuming, the record."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interruption import resume_after_death
from PIL import Image

from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.listing import read_lesions
from edge_melanoma.data.screening import screen_images
from edge_melanoma.data.splits import DatasetSplit, split_lesions
from edge_melanoma.errors import EdgeMelanomaError, install_command
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.network.recipes import VARIANTS, Augmentation, Variant
from edge_melanoma.runs.models import TrainedModel

SILENT = SilentReporter()


@pytest.fixture(scope="module")
def records(phantoms: Path) -> tuple[LesionRecord, ...]:
    return screen_images(read_lesions(phantoms)).readable


@pytest.fixture(scope="module")
def split(records: tuple[LesionRecord, ...]) -> DatasetSplit:
    return split_lesions(records, seed=3)


@pytest.fixture(scope="module")
def network() -> Any:
    from edge_melanoma.network.network import build_network

    return build_network(VARIANTS[Variant.PARTIAL], seed=5)


def test_the_partial_variant_is_cut_before_block_13_project_bn(network: Any) -> None:
    from edge_melanoma.network.network import cut_layer, freeze_backbone, prefix_of

    cut = cut_layer(network, unfrozen_layers=30)
    freeze_backbone(network, unfrozen_layers=30)
    assert cut == "block_13_project"
    assert prefix_of(network, cut=cut).output_shape == (None, 7, 7, 160)
    assert [layer.trainable for layer in network.layers].index(True) == 124
    assert network.layers[124].name == "block_13_project_BN"


def test_the_frozen_variant_is_cut_after_pooling(network: Any) -> None:
    from edge_melanoma.network.network import cut_layer, prefix_of

    cut = cut_layer(network, unfrozen_layers=0)
    assert cut == "gap"
    assert prefix_of(network, cut=cut).output_shape == (None, 1280)


def test_a_recipe_that_trains_every_layer_has_no_cut(network: Any) -> None:
    from edge_melanoma.network.network import cut_layer

    assert cut_layer(network, unfrozen_layers=154) is None


def test_litert_runs_the_frozen_prefix_as_keras_does(network: Any) -> None:
    from edge_melanoma.network.network import calibrate_batch_norm, compile_forward, prefix_of
    from edge_melanoma.training.activations import FrozenPrefix

    images = np.random.default_rng(0).random((3, 224, 224, 3), dtype=np.float32)
    calibrate_batch_norm(network, images)
    prefix = FrozenPrefix(network, cut="block_13_project")
    expected = compile_forward(prefix_of(network, cut="block_13_project"))(images)
    # float32 sums in another order through 40 layers: 1e-4 of the largest is some 1,000 roundings.
    np.testing.assert_allclose(prefix(images), expected, atol=1e-4 * np.abs(expected).max())


def test_cached_activations_are_computed_once_for_each_picture(
    network: Any, records: tuple[LesionRecord, ...], tmp_path: Path
) -> None:
    from edge_melanoma.data.images import read_image, scale_pixels
    from edge_melanoma.training.activations import FrozenPrefix, cache_activations

    prefix = FrozenPrefix(network, cut="gap")
    cache_activations(prefix, records[:4], cache_folder=tmp_path, reporter=SILENT)
    again = [*records[2:6], replace(records[2], image_id="copy of it")]
    cached = cache_activations(prefix, again, cache_folder=tmp_path, reporter=SILENT)
    assert len(cached.store) == 6
    expected = prefix(scale_pixels(np.stack([read_image(record.path) for record in again])))
    gathered = cached.gather(np.arange(5))
    # float16 keeps 11 bits: half a step is 2^-11 of a value, and of the smallest normal number.
    np.testing.assert_allclose(gathered, expected, rtol=2**-11, atol=2**-24)


def test_a_half_written_row_of_the_cache_is_dropped(
    network: Any, records: tuple[LesionRecord, ...], tmp_path: Path
) -> None:
    from edge_melanoma.training.activations import FrozenPrefix, cache_activations

    prefix = FrozenPrefix(network, cut="gap")
    whole = cache_activations(prefix, records[:3], cache_folder=tmp_path, reporter=SILENT)
    expected = whole.gather(np.arange(3))
    (rows,) = tmp_path.rglob("activations.f16")
    with rows.open("ab") as stream:
        stream.write(b"\x00" * 1001)
    cached = cache_activations(prefix, records[:5], cache_folder=tmp_path, reporter=SILENT)
    assert len(cached.store) == 5
    np.testing.assert_array_equal(cached.gather(np.arange(3)), expected)


def test_augmentation_is_the_same_for_the_same_seeds_and_leaves_the_shape() -> None:
    from edge_melanoma.training.augmentation import augment_images

    pixels = np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    seeds = np.array([[0, 1, 2], [0, 1, 3]])
    first = augment_images(pixels, Augmentation(), seeds=seeds)
    np.testing.assert_array_equal(first, augment_images(pixels, Augmentation(), seeds=seeds))
    assert first.shape == pixels.shape
    assert not np.array_equal(first, augment_images(pixels, Augmentation(), seeds=seeds + 1))


def test_augmentation_of_nothing_changes_nothing() -> None:
    from edge_melanoma.training.augmentation import augment_images

    pixels = np.random.default_rng(1).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    still = Augmentation(flip=False, rotation=0.0, zoom=0.0, translation=0.0)
    np.testing.assert_array_equal(augment_images(pixels, still, seeds=np.array([[0]])), pixels)


@pytest.mark.thorough
def test_an_interrupted_training_ends_with_the_same_weights(
    split: DatasetSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_melanoma.network.network import arrays_of
    from edge_melanoma.training import material, training

    settings = material.TrainingSettings(variant=Variant.PARTIAL, weights="none", epochs=2)

    def train(folder: Path, *, resume: bool) -> dict[str, Any]:
        folder.mkdir(exist_ok=True)
        result = training.train_network(
            split,
            settings,
            run_folder=folder,
            cache_folder=tmp_path / "cache",
            reporter=SILENT,
            resume=resume,
        )
        return arrays_of(result.network)

    straight = train(tmp_path / "straight", resume=False)

    resumed = resume_after_death(train, tmp_path / "broken", monkeypatch)
    assert resumed.keys() == straight.keys()
    for name, array in straight.items():
        np.testing.assert_array_equal(resumed[name], array, err_msg=name)


def test_a_checkpoint_of_other_settings_is_refused(split: DatasetSplit, tmp_path: Path) -> None:
    from edge_melanoma.network.network import build_network
    from edge_melanoma.training.checkpoints import TrainingState, load_checkpoint, save_checkpoint

    network = build_network(VARIANTS[Variant.FROZEN])
    save_checkpoint(tmp_path, TrainingState(settings="one"), network)
    with pytest.raises(EdgeMelanomaError) as caught:
        load_checkpoint(tmp_path, settings="another", network=network)
    assert str(caught.value) == (
        f"{tmp_path / 'checkpoint.safetensors'} was made with other settings or other images; "
        "repeat the command that began it, or start anew with --force."
    )


def test_tensorboard_is_an_extra(
    edge_melanoma: Callable[..., Any],
    phantoms: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from edge_melanoma.training import session

    monkeypatch.setattr(session, "find_spec", lambda name: None)
    result = edge_melanoma("train", "--data", phantoms, "--tensorboard", tmp_path / "logs")
    assert (result.exit_code, result.stderr) == (
        2,
        "edge-melanoma: --tensorboard needs the package tensorboard, which is not installed; "
        f"install it with: {install_command('tensorboard')}\n",
    )


def test_a_run_folder_holds_what_the_contract_names(trained_run: TrainedModel) -> None:
    names = {path.name for path in trained_run.folder.iterdir()}
    assert {
        "manifest.json",
        "weights.safetensors",
        "split.json",
        "history.csv",
        "evaluation.json",
        "confusion.png",
        "roc.png",
        "precision_recall.png",
        "reliability.png",
        "training_curves.png",
        "classes.png",
        "samples.png",
    } <= names
    assert "checkpoint.safetensors" not in names
    with (trained_run.folder / "history.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert {"loss", "val_loss", "recall", "val_recall", "learning_rate", "seconds"} <= set(rows[0])
    for picture in trained_run.folder.glob("*.png"):
        with Image.open(picture) as image:
            assert image.width > 400


def test_evaluation_counts_agree_with_the_split(trained_run: TrainedModel) -> None:
    evaluation = json.loads((trained_run.folder / "evaluation.json").read_text())
    split = json.loads((trained_run.folder / "split.json").read_text())
    for side in ("train", "validation", "test"):
        counts = evaluation["sides"][side]["at_half"]["confusion"]
        assert sum(counts.values()) == len(split[side]) == evaluation["sides"][side]["images"]


def test_evaluate_leaves_out_what_the_run_was_trained_on(
    edge_melanoma: Callable[..., Any], trained_run: TrainedModel, phantoms: Path, tmp_path: Path
) -> None:
    out = tmp_path / "metrics.json"
    result = edge_melanoma("evaluate", trained_run.folder, "--data", phantoms, "--json", out)
    split = json.loads((trained_run.folder / "split.json").read_text())
    learned = len(split["train"]) + len(split["validation"])
    assert f"Left out {learned} of {learned + len(split['test'])} images" in result.stderr
    assert json.loads(out.read_text())["dataset"]["images"] == len(split["test"])
