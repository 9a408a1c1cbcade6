"""From a tf_keras network to a .tflite file in any mode that needs no training."""

from collections.abc import Collection
from typing import Any

from edge_melanoma.converters.calibration import CalibrationSet
from edge_melanoma.converters.layer_errors import find_operators
from edge_melanoma.converters.networks.activation_map import with_activation_map
from edge_melanoma.converters.networks.bias_correction import (
    Ranges,
    Rounding,
    correct_biases,
    measure_ranges,
    round_to_float16,
    round_to_int8,
)
from edge_melanoma.converters.networks.folding import fold_batch_norm
from edge_melanoma.converters.networks.heads import SCORE_LAYER
from edge_melanoma.converters.packing import put_score_first
from edge_melanoma.converters.tflite_converter import convert, run_converter
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.quiet import stderr_discarded
from edge_melanoma.machine.tensorflow_runtime import tf
from edge_melanoma.tflite.modes import Correction, InputOutput, Mode


def convert_network(
    network: Any,
    mode: Mode,
    *,
    io: InputOutput,
    calibration: CalibrationSet | None,
    correction: Correction = Correction.LAYERWISE,
    float_layers: Collection[str] = (),
    output: InputOutput | None = None,
    with_map: bool = False,
) -> bytes:
    """The .tflite file of a tf_keras network in one mode, its means corrected where it rounds.

    An int8 file can keep `float_layers` and have another `output`, see `Int8Converter.convert`.
    `with_map` adds the output of `with_activation_map` to another file.

    Raises:
        ValueError: a mode that measures something without a calibration set; float layers
            elsewhere.
        EdgeMelanomaError: an operator cannot be converted or quantised; it is named.
    """
    if mode is not Mode.INT8 and (float_layers or output is not None):
        raise ValueError(f"float layers and another output are for int8, not for {mode}")
    corrects = mode.rounds_weights and correction is Correction.LAYERWISE
    if calibration is None:
        if corrects or mode.quantises_activations:
            raise ValueError(f"the mode {mode} needs a calibration set")
    elif mode is Mode.INT8:
        converter = Int8Converter(network, io=io, calibration=calibration, correction=correction)
        return converter.convert(float_layers, output=output)
    elif corrects:
        network = correct_network(network, mode, calibration)
    if not with_map:
        return convert(network, mode, io=io, calibration=calibration)
    mapped = with_activation_map(network)
    return put_score_first(convert(mapped, mode, io=io, calibration=calibration))


def correct_network(network: Any, mode: Mode, calibration: CalibrationSet) -> Any:
    """The network folded, its kernels rounded as the mode rounds them, its means corrected."""
    rounding = round_to_float16 if mode is Mode.FLOAT16 else round_to_int8
    # 16-bit activations lose too little to be counted.
    ranges = measure_ranges(network, calibration.batches()) if mode.is_full_int8 else None
    return correct_biases(network, calibration.sample(), rounding=rounding, ranges=ranges)


def convert_fake_quantised(network: Any, *, ends: tuple[InputOutput, InputOutput]) -> bytes:
    """The int8 file of a network that `fake_quantize` made, its ranges being the file's."""

    def configure(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type, converter.inference_output_type = (
            tf.as_dtype(end.value) for end in ends
        )

    return run_converter(network, configure)


class Int8Converter:
    """Int8 files of one network that differ in the layers they keep float, for a search.

    What does not depend on these layers is measured once: the ranges that the correction needs, or,
    without correction, the whole calibration, after which a file takes 0.2 CPU seconds.
    """

    def __init__(
        self,
        network: Any,
        *,
        io: InputOutput,
        calibration: CalibrationSet,
        correction: Correction = Correction.LAYERWISE,
    ) -> None:
        self._network, self._io, self._calibration = network, io, calibration
        self._correction = correction
        self._ranges: Ranges | None = None
        self._calibrated: bytes | None = None

    def convert(
        self, float_layers: Collection[str] = (), *, output: InputOutput | None = None
    ) -> bytes:
        """The file whose operators are all int8 but for those of the tf_keras layers named.

        `output` is the type of the score where it is not that of the input; FLOAT32 spares the last
        rounding, so that the layer p_malignant has to be among the float ones.

        Raises:
            ValueError: no operator is of a float layer, or that output is not to be had.
            EdgeMelanomaError: an operator cannot be converted or quantised; it is named.
        """
        output = output or self._io
        if output is not self._io and (
            output is not InputOutput.FLOAT32 or SCORE_LAYER not in float_layers
        ):
            raise ValueError(f"the output {output} needs {SCORE_LAYER} among the float layers")
        if float_layers:
            data = _quantize(self._calibrate(float_layers), float_layers, ends=(self._io, output))
        else:
            network = self._corrected(float_layers)
            data = convert(network, Mode.INT8, io=self._io, calibration=self._calibration)
        _refuse_other_floats(data, float_layers)
        return data

    def _calibrate(self, float_layers: Collection[str]) -> bytes:
        """The float graph with its ranges; kernels and biases depend on which of them round."""
        if self._correction is Correction.NONE and self._calibrated is not None:
            return self._calibrated
        self._calibrated = convert(
            self._corrected(float_layers),
            Mode.INT8,
            io=self._io,
            calibration=self._calibration,
            calibrate_only=True,
        )
        return self._calibrated

    def _corrected(self, float_layers: Collection[str]) -> Any:
        if self._correction is Correction.NONE:
            return self._network
        if self._ranges is None:
            self._ranges = measure_ranges(self._network, self._calibration.batches())
        return correct_biases(
            self._network,
            self._calibration.sample(),
            rounding=_rounding_but_of(self._network, float_layers),
            ranges=self._ranges,
        )


def _rounding_but_of(network: Any, float_layers: Collection[str]) -> Rounding:
    """To int8, but for the kernels of some layers, which are known by their values."""
    if not float_layers:
        return round_to_int8
    folded = fold_batch_norm(network)
    weights = [folded.get_layer(name).get_weights() for name in float_layers]
    kept = {arrays[0].tobytes() for arrays in weights if arrays}
    return lambda kernel, axis: kernel if kernel.tobytes() in kept else round_to_int8(kernel, axis)


def _quantize(
    calibrated: bytes, float_layers: Collection[str], *, ends: tuple[InputOutput, InputOutput]
) -> bytes:
    """What `convert` does after calibration, but for the operators of some layers.

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
