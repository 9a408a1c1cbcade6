"""The only place that runs a TFLite converter."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_melanoma.converters.calibration import CalibrationSet
from edge_melanoma.data.images import IMAGE_SIZE
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.quiet import stderr_discarded
from edge_melanoma.machine.tensorflow_runtime import tf
from edge_melanoma.tflite.modes import InputOutput, Mode


def save_frozen(network: Any, folder: Path) -> None:
    """Write `network` as a SavedModel with constants for weights and a fixed batch of 1.

    Frozen first, the conversion takes 3 CPU seconds instead of 22 and gives the same outputs; the
    module around it gives the signature its names: an output is called as its layer is. A dynamic
    batch is refused by LiteRT.js.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    signature = tf.TensorSpec((1, IMAGE_SIZE, IMAGE_SIZE, 3), tf.float32, name="image")
    graph = tf.function(lambda image: network(image, training=False), input_signature=[signature])
    frozen = convert_variables_to_constants_v2(graph.get_concrete_function())
    module = tf.Module()
    module.serve = tf.function(
        lambda image: dict(zip(network.output_names, frozen(image), strict=True)),
        input_signature=[signature],
    )
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})


def convert(
    network: Any,
    mode: Mode,
    *,
    io: InputOutput,
    calibration: CalibrationSet | None,
    calibrate_only: bool = False,
) -> bytes:
    """The .tflite file of a tf_keras network in one mode; with `calibrate_only` float, and ranges.

    Raises:
        EdgeMelanomaError: an operator cannot be converted or quantised; it is named.
    """

    def configure(converter: Any) -> None:
        _configure(converter, mode, io=io, calibration=calibration)
        converter._experimental_calibrate_only = calibrate_only

    return run_converter(network, configure)


def run_converter(network: Any, configure: Callable[[Any], None]) -> bytes:
    """The same with a converter that `configure` has set up.

    Raises:
        EdgeMelanomaError: as above.
    """
    from tensorflow.lite.python.convert_phase import ConverterError

    # The converter writes to file descriptor 2 whatever the log level.
    with tempfile.TemporaryDirectory() as folder, stderr_discarded():
        save_frozen(network, Path(folder))
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        configure(converter)
        try:
            data: bytes = converter.convert()
        except ConverterError as error:
            raise _refused(error) from error
    return data


def _refused(error: Exception) -> EdgeMelanomaError:
    names = sorted({entry.operator.name for entry in getattr(error, "errors", [])} - {""})
    what = f"the operator {', '.join(names)}" if names else str(error).splitlines()[0]
    return EdgeMelanomaError(
        f"The network cannot be converted to TFLite because of {what}; replace the layer with one "
        f"of TFLite's own operators."
    )


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
