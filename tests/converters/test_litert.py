"""LiteRT's quantizer on a network of a few layers: types, ranges, biases, and what stays float."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edge_melanoma.converters.audit import audit_model
from edge_melanoma.converters.calibration import CalibrationSet
from edge_melanoma.converters.litert import quantize_float_model
from edge_melanoma.data.images import read_image
from edge_melanoma.data.listing import read_lesions
from edge_melanoma.errors import EdgeMelanomaError, MissingExtraError, install_command
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.tflite.inspection import inspect_model
from edge_melanoma.tflite.modes import InputOutput, Mode

QUANTIZE_ELSEWHERE = """
import pickle, sys
from edge_melanoma.converters.litert import quantize_float_model
sys.stdout.buffer.write(quantize_float_model(**pickle.load(sys.stdin.buffer)))
assert "tensorflow" not in sys.modules
"""
Quantize = Callable[..., bytes]


@pytest.fixture(scope="module")
def calibration(tmp_path_factory: pytest.TempPathFactory) -> CalibrationSet:
    """Three pictures of noise of each class, each of its own brightness."""
    folder, random = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for number in range(6):
        path = folder / ("benign", "malignant")[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        pixels = random.integers(0, 256 - 40 * number, (224, 224, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    records = read_lesions(folder)
    return CalibrationSet(
        records=records,
        pixels=np.stack([read_image(record.path) for record in records]),
        seed=0,
        training_hashes=dict.fromkeys((record.image_id for record in records), ""),
    )


@pytest.fixture(scope="module")
def network() -> Any:
    """MobileNetV2's kinds of layers, folded; three channels of the first have died in training."""
    from edge_melanoma.machine.tensorflow import tf_keras

    tf_keras.utils.set_random_seed(0)
    layers = tf_keras.layers
    image = tf_keras.Input((224, 224, 3), name="image")
    first = layers.Conv2D(8, 3, strides=4, activation="relu6", name="Conv1")(image)
    value = layers.DepthwiseConv2D(3, 1, "same", name="block_3_depthwise")(first)
    value = layers.Conv2D(8, 1, name="block_3_project")(value)
    value = layers.Add(name="block_3_add")([first, value])
    value = layers.Conv2D(640, 1, activation="relu", name="block_13_project")(value)
    value = layers.GlobalAveragePooling2D(name="gap")(value)
    # 640 x 512 weights: from 256 KB on the quantizer writes files in another way.
    value = layers.Dense(512, activation="relu", name="hidden")(value)
    value = layers.Dense(1, activation="sigmoid", name="p_malignant")(value)
    model = tf_keras.Model(image, value, name="edge_melanoma")
    weights = model.get_weights()
    weights[0][..., :2], weights[0][..., 2], weights[1][:3] = 1e-9, 0.0, (2.5, -1.0, 1.0)
    # Else the pictures' scores would lie within 3 steps of the output.
    model.set_weights([*weights[:-2], 20 * weights[-2], weights[-1] + 1])
    return model


@pytest.fixture(scope="module")
def quantize(float_model: bytes, calibration: CalibrationSet) -> Quantize:
    """The network's file in a mode, made once for all tests."""
    fixed: Any = {"data": float_model, "calibration": calibration}

    @cache
    def make(mode: Mode, io: InputOutput = InputOutput.INT8, *float_layers: str) -> bytes:
        return quantize_float_model(**fixed, mode=mode, io=io, float_layers=float_layers)

    return make


@pytest.fixture(scope="module")
def float_model(network: Any) -> bytes:
    return converted(network)


def converted(network: Any) -> bytes:
    from edge_melanoma.converters.tflite import convert_network

    return convert_network(network, Mode.FLOAT32)


def tensor_of(data: bytes, layer: str, operand: int | None = None) -> tuple[Any, Any]:
    """What a layer with weights makes, or its kernel (1) or bias (2) with its values."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_litert.schema_py_generated import ModelT

    (graph,) = ModelT.InitFromPackedBuf(data, 0).subgraphs
    made = {graph.tensors[op.outputs[0]].name.decode(): op for op in graph.operators}
    op = made[next(name for name in made if f"/{layer}/" in name)]
    index = op.outputs[0] if operand is None else op.inputs[operand]
    values = None if operand is None else Interpreter(model_content=data).get_tensor(index)
    return graph.tensors[index], values


def scores(data: bytes, calibration: CalibrationSet) -> list[float]:
    session = TFLiteSession(SessionSettings(data=data, name="model", runtime=Runtime.LITERT))
    return [session.score(read_image(record.path)) for record in calibration.records]


@pytest.mark.parametrize("io", InputOutput)
def test_an_int8_file_passes_the_audit_with_every_kind_of_end(
    quantize: Quantize, io: InputOutput
) -> None:
    audit_model(inspect_model(quantize(Mode.INT8, io)), mode=Mode.INT8, io=io)


def test_an_int8_file_scores_as_the_float_file_whatever_its_ends(
    quantize: Quantize, float_model: bytes, calibration: CalibrationSet
) -> None:
    expected, found = (scores(file, calibration) for file in (float_model, quantize(Mode.INT8)))
    assert np.ptp(expected) > 10 / 256
    # 1.8 steps off when this was written, and 60 with the biases of dead channels lost.
    np.testing.assert_allclose(found, expected, rtol=0, atol=3 / 256)
    assert scores(quantize(Mode.INT8, InputOutput.UINT8), calibration) == found
    assert scores(quantize(Mode.INT8, InputOutput.FLOAT32), calibration) == found


def test_an_activation_s_range_is_that_of_the_calibration_and_holds_0(
    quantize: Quantize, network: Any, calibration: CalibrationSet
) -> None:
    from edge_melanoma.machine.tensorflow import tf_keras

    probe = tf_keras.Model(network.input, network.get_layer("block_3_project").output)
    outputs = np.concatenate([probe(image).numpy().ravel() for image in calibration.inputs()])
    tensor, _ = tensor_of(quantize(Mode.INT8), "block_3_project")
    (scale,), (zero,) = tensor.quantization.scale, tensor.quantization.zeroPoint
    expected = min(outputs.min(), 0.0), max(outputs.max(), 0.0)
    # The zero point is rounded, which moves both ends by half a step at most.
    ends = scale * (-128 - zero), scale * (127 - zero)
    np.testing.assert_allclose(ends, expected, rtol=0, atol=0.51 * scale)


@pytest.mark.parametrize("mode", [Mode.INT8, Mode.INT16X8])
def test_biases_of_dead_channels_are_kept(
    quantize: Quantize, float_model: bytes, mode: Mode
) -> None:
    tensor, integers = tensor_of(quantize(mode), "Conv1", 2)
    _, expected = tensor_of(float_model, "Conv1", 2)
    assert expected[:3].tolist() == [2.5, -1.0, 1.0]
    steps = np.asarray(tensor.quantization.scale)
    # Half a step of rounding, and the eighth digit of float32 scales.
    assert (np.abs(integers * steps - expected) <= 0.5 * steps + 1e-6 * np.abs(expected)).all()
    # Each channel has a scale, and as many steps again still fit: products are added to them.
    assert len(steps) == 8
    assert np.abs(integers).max() <= 2**30 * (1 + 1e-6)


def test_layers_stay_float_by_their_whole_names(quantize: Quantize) -> None:
    data = quantize(Mode.INT8, InputOutput.INT8, "block_3_project")
    layers = ("block_3_depthwise", "block_3_project", "block_13_project", "hidden")
    kinds = [tensor_of(data, layer, 1)[1].dtype.name for layer in layers]
    assert kinds == ["int8", "float32", "int8", "int8"]
    for part in ("block_3", "3_project"):
        with pytest.raises(EdgeMelanomaError) as caught:
            quantize(Mode.INT8, InputOutput.INT8, part)
        message = f"The float model has no operator of a layer {part}, which is to stay float."
        assert str(caught.value) == message


def test_a_float_head_is_float_with_its_sigmoid_between_the_same_ends(quantize: Quantize) -> None:
    plain = inspect_model(quantize(Mode.INT8))
    facts = inspect_model(quantize(Mode.INT8, InputOutput.INT8, "p_malignant"))
    assert (facts.input, facts.output) == (plain.input, plain.output)
    assert facts.tensor_types["float32"] == len(("features", "kernel", "bias", "logit", "score"))


@pytest.mark.parametrize(
    ("mode", "types"),
    [
        (Mode.FLOAT16, {"float16": 6, "float32": 20, "int32": 1}),
        (Mode.DYNAMIC, {"float32": 18, "int32": 1, "int8": 2}),
        (Mode.INT16X8, {"float32": 2, "int16": 10, "int32": 1, "int64": 5, "int8": 6}),
    ],
)
def test_other_modes_have_float_ends_and_dynamic_has_the_two_large_kernels_only(
    quantize: Quantize, mode: Mode, types: dict[str, int]
) -> None:
    facts = inspect_model(quantize(mode, InputOutput.UINT8))
    assert (facts.input.dtype, facts.output.dtype) == ("float32", "float32")
    assert facts.tensor_types == types


def test_an_operator_that_the_quantizer_does_not_know_is_named_unless_it_stays_float(
    calibration: CalibrationSet,
) -> None:
    from edge_melanoma.machine.tensorflow import tf, tf_keras

    layers = tf_keras.layers
    odd = [
        layers.InputLayer((224, 224, 3)),
        layers.GlobalAveragePooling2D(),
        layers.Activation(tf.exp, name="odd"),
    ]
    data = converted(tf_keras.Sequential([*odd, layers.Dense(1, "sigmoid")], name="melanoma"))
    fixed: Any = {"io": InputOutput.INT8, "calibration": calibration}
    with pytest.raises(EdgeMelanomaError) as caught:
        quantize_float_model(data, Mode.INT8, **fixed)
    assert str(caught.value) == (
        "The litert backend cannot quantise the operator EXP to int8; "
        "it makes the tensor melanoma/odd/Exp."
    )
    made = quantize_float_model(data, Mode.INT8, **fixed, float_layers=["odd"])
    assert inspect_model(made).tensor_types["float32"] == 2


def test_weights_lie_inside_the_file_and_its_ends_keep_their_names(quantize: Quantize) -> None:
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_litert.schema_py_generated import ModelT

    data = quantize(Mode.INT8, InputOutput.UINT8)
    assert not any(buffer.offset for buffer in ModelT.InitFromPackedBuf(data, 0).buffers)
    assert Interpreter(model_content=data).get_signature_list() == {
        "serving_default": {"inputs": ["image"], "outputs": ["p_malignant"]}
    }


def test_another_process_gives_the_same_bytes_in_silence_and_without_tensorflow(
    quantize: Quantize, float_model: bytes, calibration: CalibrationSet
) -> None:
    job = {"data": float_model, "mode": Mode.INT8, "io": InputOutput.INT8}
    given = pickle.dumps(job | {"calibration": calibration})
    command = [sys.executable, "-c", QUANTIZE_ELSEWHERE]
    done = subprocess.run(command, input=given, capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (quantize(Mode.INT8), b"")


def test_what_is_missing_is_said_and_float32_needs_nothing(
    float_model: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixed: Any = {"data": float_model, "io": InputOutput.INT8, "calibration": None}
    with pytest.raises(ValueError, match="the mode int16x8 needs a calibration set"):
        quantize_float_model(mode=Mode.INT16X8, **fixed)
    monkeypatch.setitem(sys.modules, "litert_quantizer.model_modifier", None)
    assert quantize_float_model(mode=Mode.FLOAT32, **fixed) is float_model
    with pytest.raises(MissingExtraError) as caught:
        quantize_float_model(mode=Mode.FLOAT16, **fixed)
    assert str(caught.value) == (
        "The litert backend needs the package litert-quantizer, which is not installed; "
        f"install it with: {install_command('litert')}"
    )
