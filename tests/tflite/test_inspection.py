"""What stands in an exported file, read without running it, and which files an audit refuses."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_network import make_calibration
from tflite_files import two_output_model

from edge_melanoma.converters.audit import audit_model
from edge_melanoma.converters.tflite import convert_network
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.tflite.inspection import ModelFacts, inspect_model
from edge_melanoma.tflite.modes import InputOutput, Mode
from edge_melanoma.tflite.quantization import TensorQuantization

INPUT = TensorQuantization(dtype="int8", scale=1 / 255, zero_point=-128)
OUTPUT = TensorQuantization(dtype="int8", scale=1 / 256, zero_point=-128)
FLOAT = TensorQuantization(dtype="float32", scale=0.0, zero_point=0)
SMALL = ModelFacts(
    size_bytes=2_665_000,
    operators={"CONV_2D": 1},
    tensor_types={"int8": 3, "int32": 1},
    input=INPUT,
    output=OUTPUT,
    input_shape=(1, 224, 224, 3),
    output_name="p_malignant",
)
FLOAT_ENDS = replace(
    SMALL,
    operators={"CONV_2D": 1, "DEQUANTIZE": 1, "QUANTIZE": 1},
    tensor_types={"float32": 2, "int32": 1, "int8": 3},
    input=FLOAT,
    output=FLOAT,
)

Inspect = Callable[[str], ModelFacts]


@pytest.fixture(scope="module")
def inspect(exported_run: TrainedModel) -> Inspect:
    """The facts of the run's export in a mode."""
    folder = exported_run.exports_folder
    return lambda mode: inspect_model((folder / f"model_{mode}.tflite").read_bytes())


def refusal(facts: ModelFacts, *, mode: Mode = Mode.INT8, io: InputOutput) -> str:
    with pytest.raises(EdgeMelanomaError) as caught:
        audit_model(facts, mode=mode, io=io)
    return str(caught.value)


def test_the_int8_file_is_wholly_int8(inspect: Inspect) -> None:
    facts = inspect("int8")
    # Biases and the axes of the pooling are 32-bit integers.
    assert set(facts.tensor_types) == {"int8", "int32"}
    assert facts.input_shape == (1, 224, 224, 3)
    audit_model(facts, mode=Mode.INT8, io=InputOutput.INT8)


def test_the_int8_file_has_the_operators_of_the_float_file_and_no_more(inspect: Inspect) -> None:
    # MobileNetV2: 35 full and 17 depthwise convolutions, 10 residuals; then pooling and the head.
    expected = {
        "ADD": 10,
        "CONV_2D": 35,
        "DEPTHWISE_CONV_2D": 17,
        "FULLY_CONNECTED": 2,
        "LOGISTIC": 1,
        "MEAN": 1,
    }
    assert inspect("int8").operators == inspect("float32").operators == expected


def test_the_ends_of_the_int8_file_are_a_pixel_and_a_256th(inspect: Inspect) -> None:
    facts = inspect("int8")
    scale = float(np.float32(1 / 255))
    assert facts.input == TensorQuantization(dtype="int8", scale=scale, zero_point=-128)
    assert facts.output == OUTPUT


def test_the_output_is_called_as_the_signature_calls_it(inspect: Inspect) -> None:
    assert [inspect(mode).output_name for mode in ("float32", "float16", "int8")] == (
        ["p_malignant"] * 3
    )


@pytest.mark.parametrize("mode", [Mode.FLOAT32, Mode.FLOAT16])
def test_float_files_have_float_ends(inspect: Inspect, mode: Mode) -> None:
    facts = inspect(mode.value)
    assert (facts.input, facts.output) == (FLOAT, FLOAT)
    audit_model(facts, mode=mode, io=InputOutput.INT8)


@pytest.mark.parametrize(
    ("mode", "types"), [(Mode.FLOAT32, "float32"), (Mode.FLOAT16, "float16, float32")]
)
def test_a_float_file_that_is_claimed_to_be_int8_is_refused(
    inspect: Inspect, mode: Mode, types: str
) -> None:
    assert refusal(inspect(mode.value), io=InputOutput.INT8) == (
        f"The int8 model is not wholly int8: it has tensors of {types}."
    )


def test_the_int8_file_keeps_kernels_as_they_were_rounded(tmp_path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    from edge_melanoma.converters.networks.bias_correction import correct_biases, measure_ranges
    from edge_melanoma.converters.networks.learned_rounding import round_kernel
    from edge_melanoma.machine.tensorflow import tf_keras

    layers = tf_keras.layers
    image = tf_keras.Input((224, 224, 3), name="image")
    hidden = layers.Dense(40, activation="relu", name="hidden")
    value = hidden(layers.GlobalAveragePooling2D(name="gap")(image))
    score = layers.Dense(1, activation="sigmoid", name="p_malignant")(value)
    network, calibration = tf_keras.Model(image, score), make_calibration(tmp_path)
    data = convert_network(network, Mode.INT8, calibration=calibration)
    interpreter = Interpreter(model_content=data)
    (index,) = (
        tensor["index"]
        for tensor in interpreter.get_tensor_details()
        if tensor["shape"].tolist() == [40, 3]
    )
    kernel = hidden.get_weights()[0]
    ranges = measure_ranges(network, calibration.batches())
    rounded = correct_biases(network, calibration.sample(), rounding=round_kernel, ranges=ranges)
    learned = rounded.get_layer("hidden").get_weights()[0]
    integers = np.round(learned / (np.abs(kernel).max(axis=0) / 127))
    assert np.array_equal(interpreter.get_tensor(index), integers.T)


def test_an_int8_file_that_is_claimed_to_take_bytes_is_refused(inspect: Inspect) -> None:
    assert refusal(inspect("int8"), io=InputOutput.UINT8) == (
        "The int8 model's input is int8 with scale 0.00392157 and zero point -128; "
        "expected uint8, 0.00392157 and 0."
    )


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        (
            replace(SMALL, input=replace(INPUT, scale=1.0)),
            "The int8 model's input is int8 with scale 1 and zero point -128; "
            "expected int8, 0.00392157 and -128.",
        ),
        (
            replace(SMALL, input=replace(INPUT, scale=1.0011 / 255)),
            "The int8 model's input is int8 with scale 0.00392588 and zero point -128; "
            "expected int8, 0.00392157 and -128.",
        ),
        (
            replace(SMALL, input=replace(INPUT, zero_point=-127)),
            "The int8 model's input is int8 with scale 0.00392157 and zero point -127; "
            "expected int8, 0.00392157 and -128.",
        ),
        (
            replace(SMALL, output=replace(OUTPUT, scale=1 / 128)),
            "The int8 model's output is int8 with scale 0.0078125 and zero point -128; "
            "expected int8, 0.00390625 and -128.",
        ),
        (
            replace(SMALL, tensor_types={"int8": 3, "int16": 1, "float32": 1}),
            "The int8 model is not wholly int8: it has tensors of float32, int16.",
        ),
        (
            replace(SMALL, input_shape=(2, 224, 224, 3)),
            "The int8 model has a batch of 2, not 1.",
        ),
        (
            replace(SMALL, size_bytes=2_665_001),
            "The int8 model has 2665001 bytes; expected at most 2665000.",
        ),
        (
            replace(SMALL, output_name="logit"),
            "The int8 model's output is called logit; expected p_malignant.",
        ),
        (
            replace(SMALL, output=FLOAT),
            "The int8 model's output is float32; expected int8, 0.00390625 and -128.",
        ),
    ],
)
def test_what_wrong_calibration_converts_silently_is_refused(
    facts: ModelFacts, sentence: str
) -> None:
    audit_model(SMALL, mode=Mode.INT8, io=InputOutput.INT8)
    assert refusal(facts, io=InputOutput.INT8) == sentence


def test_an_input_scale_may_be_a_rounding_away() -> None:
    near = replace(SMALL, input=replace(INPUT, scale=1.0009 / 255))
    audit_model(near, mode=Mode.INT8, io=InputOutput.INT8)


def test_float_ends_may_have_two_float_tensors_and_no_third() -> None:
    audit_model(FLOAT_ENDS, mode=Mode.INT8, io=InputOutput.FLOAT32)
    third = replace(FLOAT_ENDS, tensor_types={"float32": 2, "float16": 1, "int8": 3})
    assert refusal(third, io=InputOutput.FLOAT32) == (
        "The int8 model is not wholly int8 between its float32 ends: it has 3 float tensors "
        "and 2 steps between float and int8, expected 2 and 2."
    )


def test_float_ends_that_hold_integers_are_refused() -> None:
    assert refusal(replace(FLOAT_ENDS, output=OUTPUT), io=InputOutput.FLOAT32) == (
        "The int8 model's output is int8 with scale 0.00390625 and zero point -128; "
        "expected float32."
    )


def test_the_other_modes_must_have_a_batch_of_one_too() -> None:
    facts = replace(SMALL, input_shape=(8, 224, 224, 3))
    assert refusal(facts, mode=Mode.FLOAT16, io=InputOutput.FLOAT32) == (
        "The float16 model has a batch of 8, not 1."
    )


@pytest.mark.parametrize("data", [b"", b"\x00\x01", b"This is text, and no network."])
def test_garbage_is_refused_in_one_sentence(data: bytes) -> None:
    # A flatbuffer begins with the place of its root table, which lies beyond these.
    root = int.from_bytes(data[:4], "little") if len(data) >= 4 else None
    with pytest.raises(EdgeMelanomaError) as caught:
        inspect_model(data)
    wanted, place = (4, 0) if root is None else (root + 4, root)
    assert str(caught.value) == (
        "The model cannot be read as a .tflite file: unpack_from requires a buffer of at least "
        f"{wanted} bytes for unpacking 4 bytes at offset {place} (actual buffer size is "
        f"{len(data)})."
    )


def test_other_ends_are_refused_in_a_sentence_of_their_own() -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        inspect_model(two_output_model(), name="faces.tflite")
    assert str(caught.value) == (
        "faces.tflite is not a lesion classifier: expected one input and one output, beside which "
        "only gate and class_activation_map stand; found 1 and 2."
    )
    with pytest.raises(EdgeMelanomaError, match=r"^a cannot be read as a \.tflite file: "):
        inspect_model(b"broken", name="a")
