"""From a tf_keras network to a .tflite file: the only place that runs TensorFlow's converter."""

import tempfile
from collections.abc import Collection, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from edge_melanoma.converters.calibration import CalibrationSet
from edge_melanoma.converters.layer_errors import find_operators
from edge_melanoma.converters.litert import quantize_float_model
from edge_melanoma.converters.networks import bias_correction, learned_rounding, rewriting
from edge_melanoma.converters.packing import put_score_first
from edge_melanoma.converters.settings import ExportSettings
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.processes import stderr_discarded
from edge_melanoma.machine.tensorflow import tf
from edge_melanoma.network.network import infer
from edge_melanoma.tflite.modes import Backend, Correction, InputOutput, Mode, Output
from edge_melanoma.tflite.quantization import SCORE_NAME

DEFAULTS = ExportSettings()


class Int8Converter:
    """Int8 files of one network that differ in the layers they keep float, for a search.

    What does not depend on these layers is measured once: the ranges that the correction needs, or,
    without correction, the whole calibration, after which a file takes 0.2 CPU seconds.
    """

    def __init__(self, network: Any, calibration: CalibrationSet, settings: ExportSettings) -> None:
        is_cut = settings.output is Output.LOGIT
        self._network = rewriting.without_sigmoid(network) if is_cut else network
        self._calibration, self._settings, self._io = calibration, settings, settings.io
        self._convert = partial(
            _convert, mode=Mode.INT8, io=self._io, calibration=calibration, views=settings.views
        )
        self._calibrated: bytes | None = None

    def convert(self, float_layers: Collection[str] = (), *, output: Output | None = None) -> bytes:
        """The file whose operators are all int8 but for those of the tf_keras layers named.

        `output` may spare one file of the converter backend its last rounding, by FLOAT32; the
        layer p_malignant then stays float too.

        Raises:
            ValueError: no operator is of a float layer.
            EdgeMelanomaError: an operator cannot be converted or quantised; it is named.
        """
        if self._settings.backend is Backend.LITERT:
            return quantize_float_model(
                self._corrected_file,
                Mode.INT8,
                io=self._io,
                calibration=self._calibration,
                float_layers=float_layers,
            )
        end = self._io
        if (output or self._settings.output) is Output.FLOAT32:
            float_layers, end = (*float_layers, SCORE_NAME), InputOutput.FLOAT32
        if float_layers:
            # Kernels and biases of the calibrated graph depend on which of them round.
            if self._calibrated is None or self._settings.correction is Correction.LAYERWISE:
                corrected = self._corrected(float_layers)
                self._calibrated = self._convert(corrected, calibrate_only=True)
            data = _quantize(self._calibrated, float_layers, ends=(self._io, end))
        else:
            data = self._convert(self._corrected())
        _refuse_other_floats(data, float_layers)
        return data

    def _corrected(self, float_layers: Collection[str] = ()) -> Any:
        if self._settings.correction is Correction.NONE:
            return self._network
        return bias_correction.correct_biases(
            self._network,
            self._calibration.sample(),
            rounding=_rounding_but_of(float_layers),
            ranges=self._ranges,
        )

    @cached_property
    def _ranges(self) -> bias_correction.Ranges:
        return bias_correction.measure_ranges(self._network, self._calibration.batches())

    @cached_property
    def _corrected_file(self) -> bytes:
        """What the other quantiser reads."""
        return _convert(self._corrected(), Mode.FLOAT32, views=self._settings.views)


def convert_network(
    network: Any,
    mode: Mode,
    *,
    calibration: CalibrationSet | None = None,
    settings: ExportSettings = DEFAULTS,
) -> bytes:
    """The .tflite file of a tf_keras network in one mode, its means corrected where it rounds.

    Raises:
        ValueError: a mode that measures something without a calibration set.
        EdgeMelanomaError: an operator cannot be converted or quantised; it is named.
    """
    corrects = mode.rounds_weights and settings.correction is Correction.LAYERWISE
    if calibration is None:
        if corrects or mode.quantises_activations:
            raise ValueError(f"the mode {mode} needs a calibration set")
    elif mode is Mode.INT8:
        return Int8Converter(network, calibration, settings).convert()
    elif corrects:
        # 16-bit activations lose too little to be counted.
        rounding: bias_correction.Rounding = learned_rounding.round_kernel
        if mode is Mode.FLOAT16:
            rounding = bias_correction.round_to_float16
        network = bias_correction.correct_biases(network, calibration.sample(), rounding=rounding)
    views = settings.views
    if settings.backend_of(mode) is Backend.LITERT:
        data = _convert(network, Mode.FLOAT32, views=views)
        return quantize_float_model(data, mode, io=settings.io, calibration=calibration)
    if settings.has_map(mode):
        mapped = rewriting.with_activation_map(network)
        return put_score_first(_convert(mapped, mode, calibration=calibration, views=views))
    return _convert(network, mode, calibration=calibration, views=views)


def convert_fake_quantised(
    network: Any, *, ends: tuple[InputOutput, InputOutput], views: int = 1
) -> bytes:
    """The int8 file of a network that `fake_quantize` made, its ranges being the file's."""
    image, score = (tf.as_dtype(end.value) for end in ends)
    return _run_converter(
        network,
        {
            "optimizations": [tf.lite.Optimize.DEFAULT],
            "inference_input_type": image,
            "inference_output_type": score,
        },
        views=views,
    )


def _rounding_but_of(float_layers: Collection[str]) -> bias_correction.Rounding:
    """To int8, but for the kernels of some layers."""
    return lambda layer, inputs: (
        layer.get_weights()[0]
        if layer.name in float_layers
        else learned_rounding.round_kernel(layer, inputs)
    )


def _convert(
    network: Any,
    mode: Mode,
    *,
    io: InputOutput = InputOutput.INT8,
    calibration: CalibrationSet | None = None,
    calibrate_only: bool = False,
    views: int = 1,
) -> bytes:
    """The converter's file as it is; with `calibrate_only` a float one that knows its ranges."""
    options: dict[str, Any] = {"_experimental_calibrate_only": calibrate_only}
    if mode is not Mode.FLOAT32:
        options["optimizations"] = [tf.lite.Optimize.DEFAULT]
    if mode is Mode.FLOAT16:
        options["target_spec"] = tf.lite.TargetSpec(supported_types=[tf.float16])
    if mode.quantises_activations and calibration is not None:
        ops = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        if mode is Mode.INT8:
            ops, end = tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.as_dtype(io.value)
            options |= {"inference_input_type": end, "inference_output_type": end}
        options["target_spec"] = tf.lite.TargetSpec(supported_ops=[ops])
        options["representative_dataset"] = lambda: ([image] for image in calibration.inputs())
    return _run_converter(network, options, views=views)


def _run_converter(network: Any, options: Mapping[str, Any], *, views: int) -> bytes:
    """The file of a converter with these attributes; it always writes to descriptor 2."""
    from tensorflow.lite.python.convert_phase import ConverterError

    with tempfile.TemporaryDirectory() as folder, stderr_discarded():
        _save_frozen(network, Path(folder), views=views)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        for name, value in options.items():
            setattr(converter, name, value)
        try:
            return bytes(converter.convert())
        except ConverterError as error:
            names = sorted({entry.operator.name for entry in getattr(error, "errors", [])} - {""})
            told = f"the operator {', '.join(names)}" if names else str(error).splitlines()[0]
            raise EdgeMelanomaError(
                f"The network cannot be converted to TFLite because of {told}; replace the layer "
                f"with one of TFLite's own operators."
            ) from error


def _save_frozen(network: Any, folder: Path, *, views: int) -> None:
    """Write `network` as a SavedModel with constants for weights and a fixed batch of 1.

    Frozen first, the conversion takes 3 CPU seconds instead of 22 and gives the same outputs; the
    module around it gives the signature its names: an output is called as its layer is. A dynamic
    batch is refused by LiteRT.js.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    signature = tf.TensorSpec((1, *network.input_shape[1:]), tf.float32, name="image")
    graph = tf.function(
        lambda image: infer(network, image, views=views), input_signature=[signature]
    )
    frozen = convert_variables_to_constants_v2(graph.get_concrete_function())
    module = tf.Module()
    module.serve = tf.function(
        lambda image: dict(zip(network.output_names, frozen(image), strict=True)),
        input_signature=[signature],
    )
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})


def _quantize(
    calibrated: bytes, float_layers: Collection[str], *, ends: tuple[InputOutput, InputOutput]
) -> bytes:
    """What the converter does after calibration, but for the operators of some layers.

    The public QuantizationDebugger ends in the same call, with float32 ends and no choice.
    """
    from tensorflow.lite.python.convert import mlir_quantize

    operators = find_operators(calibrated)
    unknown = sorted(set(float_layers) - {operator.layer for operator in operators})
    if unknown:
        raise ValueError(f"no operator is of the layers {', '.join(unknown)}")
    with stderr_discarded():
        data: bytes = mlir_quantize(
            calibrated,
            input_data_type=tf.as_dtype(ends[0].value),
            output_data_type=tf.as_dtype(ends[1].value),
            # An operator is known to the quantiser by the whole name of its output.
            denylisted_nodes=[o.tensor for o in operators if o.layer in float_layers],
        )
    return data


def _refuse_other_floats(data: bytes, float_layers: Collection[str]) -> None:
    """The converter keeps what it cannot quantise in float, without a word."""
    for operator in find_operators(data):
        if operator.is_float and operator.layer not in float_layers:
            raise EdgeMelanomaError(
                f"The operator {operator.kind} of the layer {operator.layer} cannot be quantised "
                f"to int8; replace the layer, or export float16."
            )
