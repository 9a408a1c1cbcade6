"""The only place that configures a TFLite converter."""

import tempfile
from pathlib import Path
from typing import Any

from edge_melanoma.converters.bias_correction import correct_for_int8
from edge_melanoma.converters.calibration import CalibrationSet
from edge_melanoma.converters.modes import InputOutput, Mode
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


def convert_saved_model(
    folder: Path, mode: Mode, *, io: InputOutput, calibration: CalibrationSet | None
) -> bytes:
    """The .tflite file of a SavedModel in one mode."""
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    _configure(converter, mode, io=io, calibration=calibration)
    data: bytes = converter.convert()
    return data


def convert_network(
    network: Any, modes: tuple[Mode, ...], *, io: InputOutput, calibration: CalibrationSet | None
) -> dict[Mode, bytes]:
    """The .tflite files of a tf_keras network in several modes."""
    converted: dict[Mode, bytes] = {}
    for quantised in (False, True):
        chosen = [mode for mode in modes if mode.needs_calibration == quantised]
        if not chosen:
            continue
        source = network
        if quantised and calibration is not None:
            source = correct_for_int8(network, calibration.batches())
        # The converter writes to file descriptor 2 whatever the log level.
        with tempfile.TemporaryDirectory() as folder, stderr_discarded():
            save_frozen(source, Path(folder))
            for mode in chosen:
                converted[mode] = convert_saved_model(
                    Path(folder), mode, io=io, calibration=calibration
                )
    return converted


def _configure(
    converter: Any, mode: Mode, *, io: InputOutput, calibration: CalibrationSet | None
) -> None:
    if mode is Mode.FLOAT32:
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if mode is Mode.FLOAT16:
        converter.target_spec.supported_types = [tf.float16]
    if not mode.needs_calibration:
        return
    if calibration is None:
        raise ValueError(f"the mode {mode} needs a calibration set")
    converter.representative_dataset = lambda: ([inputs] for inputs in calibration.inputs())
    ops = tf.lite.OpsSet
    if mode is Mode.INT8:
        converter.target_spec.supported_ops = [ops.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.as_dtype(io.value)
    else:
        converter.target_spec.supported_ops = [
            ops.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ]
