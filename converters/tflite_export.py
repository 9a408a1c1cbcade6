"""The only place that configures a TFLite converter."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.converters.bias_correction import (
    correct_for_rounding,
    correct_pooled_features,
    pooled_part,
    round_to_float16,
    round_to_int8,
)
from edge_melanoma.converters.calibration import CalibrationSet
from edge_melanoma.converters.modes import InputOutput, Mode
from edge_melanoma.images import IMAGE_SIZE
from edge_melanoma.network import compile_forward
from edge_melanoma.quiet import stderr_discarded
from edge_melanoma.tensorflow_runtime import tf


def save_frozen(network: Any, folder: Path) -> None:
    """Write `network` as a SavedModel with constants for weights and a fixed batch of 1.

    Frozen first, the conversion takes 3 CPU seconds instead of 22 and gives the same outputs; the
    module around it keeps the signature's names. A dynamic batch is refused by LiteRT.js.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    signature = tf.TensorSpec((1, IMAGE_SIZE, IMAGE_SIZE, 3), tf.float32, name="image")
    graph = tf.function(lambda image: network(image, training=False), input_signature=[signature])
    frozen = convert_variables_to_constants_v2(graph.get_concrete_function())
    module = tf.Module()
    module.serve = tf.function(
        lambda image: {"p_malignant": frozen(image)[0]}, input_signature=[signature]
    )
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})


def convert_network(
    network: Any, mode: Mode, *, io: InputOutput, calibration: CalibrationSet | None
) -> bytes:
    """The .tflite file of a tf_keras network in one mode, its means corrected where it rounds.

    Raises:
        ValueError: a mode that rounds weights without a calibration set.
    """
    if not mode.rounds_weights:
        return _convert(network, mode, io=io, calibration=None)
    if calibration is None:
        raise ValueError(f"the mode {mode} needs a calibration set")
    rounding = round_to_float16 if mode is Mode.FLOAT16 else round_to_int8
    corrected = correct_for_rounding(network, calibration.batches(), rounding=rounding)
    if mode.quantises_activations:
        shift = _measure_feature_shift(network, corrected, mode, calibration=calibration)
        correct_pooled_features(corrected, shift)
    return _convert(corrected, mode, io=io, calibration=calibration)


def _measure_feature_shift(
    network: Any, corrected: Any, mode: Mode, *, calibration: CalibrationSet
) -> NDArray[np.float64]:
    """Mean of the pooled features in `network` minus that in the converted backbone, (1280,)."""
    from ai_edge_litert.interpreter import Interpreter

    data = _convert(pooled_part(corrected), mode, io=InputOutput.FLOAT32, calibration=calibration)
    with stderr_discarded():
        interpreter = Interpreter(model_content=data)
        interpreter.allocate_tensors()
    image_index = interpreter.get_input_details()[0]["index"]
    output_index = interpreter.get_output_details()[0]["index"]
    forward = compile_forward(pooled_part(network))
    shift = np.zeros(forward(next(calibration.batches())).shape[1])
    for batch in calibration.batches():
        shift += forward(batch).sum(axis=0)
        for image in batch:
            interpreter.set_tensor(image_index, image[np.newaxis])
            interpreter.invoke()
            shift -= interpreter.get_tensor(output_index)[0]
    return shift / len(calibration.records)


def _convert(
    network: Any, mode: Mode, *, io: InputOutput, calibration: CalibrationSet | None
) -> bytes:
    # The converter writes to file descriptor 2 whatever the log level.
    with tempfile.TemporaryDirectory() as folder, stderr_discarded():
        save_frozen(network, Path(folder))
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        _configure(converter, mode, io=io, calibration=calibration)
        data: bytes = converter.convert()
    return data


def _configure(
    converter: Any, mode: Mode, *, io: InputOutput, calibration: CalibrationSet | None
) -> None:
    if mode is Mode.FLOAT32:
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if mode is Mode.FLOAT16:
        converter.target_spec.supported_types = [tf.float16]
    if not mode.quantises_activations or calibration is None:
        return
    converter.representative_dataset = lambda: ([inputs] for inputs in calibration.inputs())
    ops = tf.lite.OpsSet
    if mode is Mode.INT8:
        converter.target_spec.supported_ops = [ops.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.as_dtype(io.value)
    else:
        converter.target_spec.supported_ops = [
            ops.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ]
