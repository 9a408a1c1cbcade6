"""A gate that is fitted on pictures: it lets pass what it has seen and refuses what is odd."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.terminal import SilentReporter

COUNT = 120


@pytest.fixture(scope="module")
def network() -> Any:
    """Its layer of the gate's name sees colours and edges."""
    from edge_melanoma.machine.tensorflow import tf_keras

    layers = tf_keras.layers
    image = tf_keras.Input((64, 64, 3), name="image")
    value = layers.Conv2D(12, 3, strides=2, name="block_10_expand")(image)
    value = layers.ReLU(6.0, name="block_10_expand_relu")(value)
    value = layers.GlobalAveragePooling2D(name="gap")(value)
    score = layers.Dense(1, activation="sigmoid", name="p_malignant")(value)
    network = tf_keras.Model(image, score)
    random = np.random.default_rng(1)
    network.set_weights([random.normal(0, 0.6, w.shape) for w in network.get_weights()])
    return network


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[LesionRecord]:
    """Brown discs on skin; their corners are bare."""
    folder, random = tmp_path_factory.mktemp("discs"), np.random.default_rng(4)
    rows, columns = np.indices((64, 64)) / 64
    found = []
    for number in range(COUNT):
        inside = np.hypot(rows - 0.5, columns - 0.5) < random.uniform(0.2, 0.35)
        skin = np.array([205.0, 165.0, 145.0]) + random.normal(0, 12, 3)
        pixels = np.where(inside[..., None], skin * random.uniform(0.4, 0.7), skin)
        path = folder / f"{number}.png"
        Image.fromarray(
            (pixels + random.normal(0, 3, (64, 64, 1))).clip(0, 255).astype(np.uint8)
        ).save(path)
        found.append(LesionRecord(image_id=path.name, path=path, is_malignant=number % 2 == 0))
    return found


@pytest.fixture(scope="module")
def fitted(network: Any, records: list[LesionRecord]) -> Any:
    from edge_melanoma.training.gate import fit_gate

    return fit_gate(network, records[:100], records[100:], seed=0, reporter=SilentReporter())


def distances_of(network: Any, gate: Any, pictures: np.ndarray[Any, Any]) -> list[float]:
    from edge_melanoma.network.gate import means_of

    means = means_of(network)(pictures.astype(np.float32) / 255).numpy()
    return list(gate.distances(means))


def test_it_refuses_noise_and_few_of_what_it_was_set_on(
    network: Any, fitted: Any, records: list[LesionRecord]
) -> None:
    gate, told = fitted
    own = np.stack([np.asarray(Image.open(record.path)) for record in records[100:]])
    assert sum(far > gate.rule.limit for far in distances_of(network, gate, own)) <= 1
    noise = np.random.default_rng(0).integers(0, 256, (10, 64, 64, 3))
    assert all(far > gate.rule.limit for far in distances_of(network, gate, noise))
    assert told["limit"] == gate.rule.limit
    assert (told["fitted_on"], told["limit_set_on"]) == (100, 20)
    assert told["strays"] == {"scenes": 20, "skin": 20}


def test_the_same_seed_fits_the_same_gate(
    network: Any, fitted: Any, records: list[LesionRecord]
) -> None:
    from edge_melanoma.training.gate import fit_gate

    again = fit_gate(network, records[:100], records[100:], seed=0, reporter=SilentReporter())
    assert again is not None
    assert again[1] == fitted[1]
    assert np.array_equal(again[0].kernel, fitted[0].kernel)


def test_too_few_pictures_make_none(network: Any, records: list[LesionRecord]) -> None:
    from edge_melanoma.training.gate import fit_gate

    few = records[:99]
    assert fit_gate(network, few, records[100:], seed=0, reporter=SilentReporter()) is None


def test_a_gate_is_read_back_and_that_of_another_model_is_refused(
    fitted: Any, tmp_path: Path
) -> None:
    from edge_melanoma.network.gate import read_gate
    from edge_melanoma.runs.models import GATE, TrainedModel
    from edge_melanoma.runs.recorded_files import hashes_of
    from edge_melanoma.training.gate import record_gate

    gate, told = fitted
    record_gate(tmp_path, gate)
    manifest = {"gate": told, "files": hashes_of(tmp_path, [tmp_path / GATE])}
    run = TrainedModel(folder=tmp_path, variant="frozen", manifest=manifest, sha256="0")
    found = read_gate(run)
    assert found is not None
    assert np.array_equal(found.kernel, gate.kernel)
    assert found.rule == gate.rule
    (tmp_path / GATE).write_bytes(b"other")
    with pytest.raises(EdgeMelanomaError, match="is the gate of another model"):
        read_gate(run)
    assert read_gate(TrainedModel(folder=tmp_path, variant="x", manifest={}, sha256="0")) is None
