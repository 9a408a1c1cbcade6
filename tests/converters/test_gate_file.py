"""A gate in .tflite files: grafted without a converter, taken out again, alike in all of them."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_network import make_calibration

from edge_melanoma.converters.settings import ExportSettings
from edge_melanoma.data.images import scale_pixels
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.tflite.gate import GateRule
from edge_melanoma.tflite.inspection import inspect_model
from edge_melanoma.tflite.modes import Correction, Mode

PICTURES = np.random.default_rng(3).integers(0, 256, (4, 224, 224, 3), dtype=np.uint8)
RULE = GateRule(components=4, one_sided=1, limit=9.0)


@pytest.fixture(scope="module")
def network() -> Any:
    """Its one layer of the gate's name has eight channels."""
    from edge_melanoma.machine.tensorflow import tf_keras

    layers = tf_keras.layers
    image = tf_keras.Input((224, 224, 3), name="image")
    value = layers.Conv2D(8, 3, strides=8, use_bias=False, name="block_10_expand")(image)
    value = layers.BatchNormalization(name="block_10_expand_BN")(value)
    value = layers.ReLU(6.0, name="block_10_expand_relu")(value)
    value = layers.Conv2D(4, 1, use_bias=False, name="block_10_project")(value)
    value = layers.BatchNormalization(name="block_10_project_BN")(value)
    value = layers.GlobalAveragePooling2D(name="gap")(value)
    value = layers.Dense(4, activation="relu", name="hidden")(value)
    score = layers.Dense(1, activation="sigmoid", name="p_malignant")(value)
    network = tf_keras.Model(image, score, name="edge_melanoma")
    random = np.random.default_rng(1)
    network.set_weights(
        [random.uniform(0.1, 0.9, w.shape).astype(np.float32) for w in network.get_weights()]
    )
    return network


@pytest.fixture(scope="module")
def gate() -> Any:
    from edge_melanoma.network.gate import Gate

    random = np.random.default_rng(2)
    kernel = random.normal(0, 3, (8, 4)).astype(np.float32)
    centre = np.full(8, 3, np.float32)
    return Gate(kernel=kernel, bias=-centre @ kernel, centre=centre, largest_mean=6.0, rule=RULE)


@pytest.fixture(scope="module")
def plain(network: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[Mode, int], bytes]:
    """Files without a gate."""
    from edge_melanoma.converters.packing import slim_model
    from edge_melanoma.converters.tflite import convert_network

    calibration = make_calibration(tmp_path_factory.mktemp("gate"))
    files = {}
    for mode, views in ((Mode.FLOAT32, 1), (Mode.INT8, 1), (Mode.INT8, 8)):
        settings = ExportSettings(correction=Correction.NONE, views=views)
        data = convert_network(network, mode, calibration=calibration, settings=settings)
        files[mode, views] = slim_model(data)
    return files


def open_file(data: bytes, rule: GateRule | None = RULE) -> TFLiteSession:
    return TFLiteSession(
        SessionSettings(data=data, name="gated.tflite", runtime=Runtime.LITERT, gate=rule)
    )


def distances_of(network: Any, gate: Any) -> NDArray[np.float64]:
    from edge_melanoma.network.gate import means_of

    return np.asarray(gate.distances(means_of(network)(scale_pixels(PICTURES)).numpy()))


@pytest.mark.parametrize(("mode", "views"), [(Mode.FLOAT32, 1), (Mode.INT8, 1), (Mode.INT8, 8)])
def test_a_file_tells_the_distance_of_the_network_and_keeps_its_scores(
    network: Any, gate: Any, plain: dict[tuple[Mode, int], bytes], mode: Mode, views: int
) -> None:
    from edge_melanoma.converters.gate import attach_gate

    before, after = (
        open_file(plain[mode, views], None),
        open_file(attach_gate(plain[mode, views], gate)),
    )

    found = [after.answer(picture) for picture in PICTURES]

    assert [answer.score for answer in found] == [before.score(picture) for picture in PICTURES]
    distances = [answer.placed.distance for answer in found if answer.placed]
    # Half a step of each component at distances of some 4 steps, and what int8 means differ by.
    tolerance = 1e-4 if mode is Mode.FLOAT32 else 0.2
    assert distances == pytest.approx(distances_of(network, gate).tolist(), rel=tolerance, abs=1)


def test_without_its_gate_a_file_is_as_small_as_before_but_for_empty_buffers(
    gate: Any, plain: dict[tuple[Mode, int], bytes]
) -> None:
    from edge_melanoma.converters.gate import attach_gate
    from edge_melanoma.converters.packing import without_gate

    for data in plain.values():
        facts = inspect_model(without_gate(attach_gate(data, gate)))
        assert facts.operators == inspect_model(data).operators
        assert facts.tensor_types == inspect_model(data).tensor_types
        assert facts.size_bytes <= len(data) + 300
        assert without_gate(data) is data


def test_an_int8_file_stays_wholly_int8(gate: Any, plain: dict[tuple[Mode, int], bytes]) -> None:
    from edge_melanoma.converters.gate import attach_gate

    facts = inspect_model(attach_gate(plain[Mode.INT8, 8], gate))

    assert set(facts.tensor_types) <= {"int8", "int32"}
    assert facts.gate is not None
    assert (facts.gate.dtype, facts.gate.scale, facts.gate.zero_point) == ("int8", 0.25, 0)
    assert facts.gate_components == 4


def test_the_gate_of_another_network_is_refused(
    gate: Any, plain: dict[tuple[Mode, int], bytes]
) -> None:
    from dataclasses import replace

    from edge_melanoma.converters.gate import attach_gate

    other = replace(gate, kernel=np.ones((9, 4), np.float32))
    with pytest.raises(EdgeMelanomaError, match="needs the 9 channels of block_10_expand_relu"):
        attach_gate(plain[Mode.INT8, 1], other)
    with pytest.raises(EdgeMelanomaError, match="that of another model"):
        open_file(attach_gate(plain[Mode.INT8, 1], gate), replace(RULE, components=5))
    with pytest.raises(EdgeMelanomaError, match="that of another model"):
        open_file(plain[Mode.INT8, 1])
