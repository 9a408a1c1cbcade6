"""The only place that configures a TFLite converter."""

import tempfile
from pathlib import Path
from typing import Any

from edge_melanoma.converters.bias_correction import (
    correct_biases,
    measure_ranges,
    round_to_float16,
    round_to_int8,
)
from edge_melanoma.converters.calibration import CalibrationSet
from edge_melanoma.converters.modes import Correction, InputOutput, Mode
from edge_melanoma.images import IMAGE_SIZE
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
    network: Any,
    mode: Mode,
    *,
    io: InputOutput,
    calibration: CalibrationSet | None,
    correction: Correction = Correction.LAYERWISE,
) -> bytes:
    """The .tflite file of a tf_keras network in one mode, its means corrected where it rounds.

    Raises:
        ValueError: a mode that rounds weights without a calibration set.
    """
    if not mode.rounds_weights:
        return _convert(network, mode, io=io, calibration=None)
    if calibration is None:
        raise ValueError(f"the mode {mode} needs a calibration set")
    if correction is Correction.NONE:
        return _convert(network, mode, io=io, calibration=calibration)
    rounding = round_to_float16 if mode is Mode.FLOAT16 else round_to_int8
    # 16-bit activations lose too little to be counted.
    ranges = measure_ranges(network, calibration.batches()) if mode is Mode.INT8 else None
    corrected = correct_biases(network, calibration.sample(), rounding=rounding, ranges=ranges)
    return _convert(corrected, mode, io=io, calibration=calibration)


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
