"""Float layers in an int8 file: those that were asked for, and no others."""

from collections import Counter
from collections.abc import Collection
from typing import Any

import numpy as np
import pytest
from small_network import LAYERS, make_calibration, make_pictures, make_small_network

from edge_melanoma.converters.audit import audit_model
from edge_melanoma.converters.calibration import CalibrationSet
from edge_melanoma.converters.layer_errors import find_operators
from edge_melanoma.converters.settings import ExportSettings
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.tflite.inspection import inspect_model
from edge_melanoma.tflite.modes import Correction, InputOutput, Mode, Output


@pytest.fixture(scope="module")
def calibration(tmp_path_factory: pytest.TempPathFactory) -> CalibrationSet:
    return make_calibration(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def converter(calibration: CalibrationSet) -> Any:
    from edge_melanoma.converters.tflite import Int8Converter

    return Int8Converter(
        make_small_network(), calibration, ExportSettings(correction=Correction.NONE)
    )


def float_layers_of(data: bytes) -> set[str]:
    return {operator.layer for operator in find_operators(data) if operator.is_float}


def session_of(data: bytes) -> TFLiteSession:
    return TFLiteSession(SessionSettings(data=data, name="small", runtime=Runtime.LITERT))


def scores_of(data: bytes) -> list[float]:
    session = session_of(data)
    return [session.score(picture) for picture in make_pictures()[0]]


@pytest.mark.parametrize("layers", [*((name,) for name in LAYERS), ("depthwise", "gap"), LAYERS])
def test_just_the_layers_that_were_named_stay_float(
    converter: Any, layers: Collection[str]
) -> None:
    data = converter.convert(layers)
    assert float_layers_of(data) == set(layers)
    facts = inspect_model(data)
    assert facts.input.as_dict() == {
        "dtype": "int8",
        "scale": float(np.float32(1 / 255)),
        "zero_point": -128,
    }
    assert (facts.output.dtype, facts.input_shape) == ("int8", (1, 224, 224, 3))


def test_without_float_layers_the_file_is_wholly_int8_and_that_of_a_plain_conversion(
    converter: Any, calibration: CalibrationSet
) -> None:
    from edge_melanoma.converters.tflite import convert_network

    data = converter.convert()
    audit_model(inspect_model(data), mode=Mode.INT8, io=InputOutput.INT8)
    plain = convert_network(
        make_small_network(),
        Mode.INT8,
        calibration=calibration,
        settings=ExportSettings(correction=Correction.NONE),
    )
    assert data == plain


def test_a_float_layer_has_the_kernel_of_the_training_and_the_score_comes_back(
    converter: Any,
) -> None:
    greens = make_pictures()[0][:, 0, 0, 1] / 255
    # Half a step of the score, and 60 times half a step of hidden, whose range is 0 .. 0.3: the
    # sigmoid passes on a quarter of it at most. Two batch norms leave 1/1.001 of a colour.
    tolerance = 0.5 / 256 + 60 * 0.25 * (0.3 * 1 / 255 + 0.3 * 0.001)
    expected = 1 / (1 + np.exp(9 - 18 * greens))
    np.testing.assert_allclose(scores_of(converter.convert(["hidden"])), expected, atol=tolerance)
    assert np.ptp(scores_of(converter.convert())) == 0


def test_a_float_score_of_an_int8_input_has_no_steps(converter: Any) -> None:
    data = converter.convert(["hidden", "p_malignant"], output=Output.FLOAT32)
    facts = inspect_model(data)
    assert (facts.input.dtype, facts.output.dtype) == ("int8", "float32")
    assert facts.operators["DEQUANTIZE"] == 1
    assert "QUANTIZE" not in facts.operators
    stepped = [score * 256 % 1 for score in scores_of(data)]
    assert min(stepped) > 0


def test_the_signature_keeps_its_names(converter: Any) -> None:
    from ai_edge_litert.interpreter import Interpreter

    data = converter.convert(["p_malignant"], output=Output.FLOAT32)
    signatures = Interpreter(model_content=data).get_signature_list()
    assert signatures == {"serving_default": {"inputs": ["image"], "outputs": ["p_malignant"]}}


def test_with_correction_a_float_layer_is_not_rounded_and_its_mean_is_right(
    calibration: CalibrationSet,
) -> None:
    from edge_melanoma.converters.tflite import Int8Converter

    converter = Int8Converter(make_small_network(), calibration, ExportSettings())
    # The layer before is kept first: its kernels are of no use for the next file.
    full, _, kept = (converter.convert(layers) for layers in ([], ["gap"], ["hidden"]))
    assert (float_layers_of(full), float_layers_of(kept)) == (set(), {"hidden"})
    # Correction moves hidden's mean to where it was, but green is lost with its weight.
    assert np.ptp(scores_of(full)) == 0
    assert np.ptp(scores_of(kept)) > 0.8


def test_a_layer_that_is_not_there_cannot_stay_float(converter: Any) -> None:
    with pytest.raises(ValueError, match="no operator is of the layers head, neck"):
        converter.convert(["stem", "head", "neck"])


def network_with(function: str) -> Any:
    """One convolution, and a layer `odd` of one TensorFlow function after it."""
    from edge_melanoma.machine.tensorflow import tf, tf_keras

    layers = tf_keras.layers
    image = tf_keras.Input((224, 224, 3), name="image")
    value = layers.Conv2D(1, 1, strides=32, activation="relu", name="stem")(image)
    value = layers.Lambda(getattr(tf.math, function), name="odd")(value)
    value = layers.GlobalAveragePooling2D(name="gap")(value)
    score = layers.Dense(1, activation="sigmoid", name="p_malignant")(value)
    return tf_keras.Model(image, score, name="edge_melanoma")


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (
            "sin",
            "The operator SIN of the layer odd cannot be quantised to int8; replace the layer, or "
            "export float16.",
        ),
        (
            "erfinv",
            "The network cannot be converted to TFLite because of the operator tf.Erfinv; replace "
            "the layer with one of TFLite's own operators.",
        ),
    ],
)
def test_an_operator_that_cannot_be_converted_or_quantised_is_named(
    function: str, sentence: str, calibration: CalibrationSet
) -> None:
    from edge_melanoma.converters.tflite import convert_network

    with pytest.raises(EdgeMelanomaError) as caught:
        convert_network(
            network_with(function),
            Mode.INT8,
            calibration=calibration,
            settings=ExportSettings(correction=Correction.NONE),
        )
    assert str(caught.value) == sentence


def test_one_calibration_serves_many_files(calibration: CalibrationSet) -> None:
    from edge_melanoma.converters.tflite import Int8Converter

    read: Counter[str] = Counter()

    class Counting(CalibrationSet):
        def inputs(self) -> Any:
            read["sets"] += 1
            return super().inputs()

    counting = Counting(
        records=calibration.records,
        pixels=calibration.pixels,
        seed=0,
        training_hashes=calibration.training_hashes,
    )
    converter = Int8Converter(
        make_small_network(), counting, ExportSettings(correction=Correction.NONE)
    )
    for layer in LAYERS:
        converter.convert([layer])
    calibrations = read["sets"]
    for layer in LAYERS:
        converter.convert([layer])
    assert read["sets"] == calibrations > 0
