"""A network that computes as its int8 file will, and can still be trained.

Built on tensorflow-model-optimization's wrappers. Its own configs start every range at -6..6 and
keep one scale for all channels of a depthwise kernel; here ranges are those of calibration images
from the first step on, and every convolution has a scale a channel, as the converter's kernels do.
"""

from collections.abc import Collection
from functools import partial
from typing import Any

import tensorflow_model_optimization as tfmot
from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
    default_8bit_quantize_registry,
)

from edge_melanoma.converters.networks.bias_correction import Ranges
from edge_melanoma.converters.networks.rewriting import has_kernel, output_axis
from edge_melanoma.machine.tensorflow import tf, tf_keras

quantization = tfmot.quantization.keras

SMALLEST_LIMIT = 1e-3
"""Of a kernel's range. A bias is kept in steps of input scale x kernel scale: for a dead channel,
whose weights are near 0 beside a bias of 1 or more, it would not fit into 32 bits."""


class KernelQuantizer(quantization.quantizers.Quantizer):  # type: ignore[misc, name-defined]  # untyped
    """int8 kernels, symmetric, from their extremes as they are at each step.

    `channel_axis` is the axis that has a scale for each entry; none: one scale for all.
    """

    def __init__(self, channel_axis: int | None) -> None:
        self.channel_axis = channel_axis

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """The range's two ends, beside the layer's weights."""
        shape = () if self.channel_axis is None else (tensor_shape[self.channel_axis],)
        add = partial(layer.add_weight, shape=shape, initializer="zeros", trainable=False)
        return {end: add(f"{name}_{end}") for end in ("min", "max")}

    def __call__(self, inputs: Any, training: bool, weights: Any, **kwargs: Any) -> Any:
        """The kernel as int8 keeps it; in training the range follows the kernel."""
        if training:
            others = [axis for axis in range(len(inputs.shape)) if axis != self.channel_axis]
            extremes = tf.reduce_max(tf.abs(inputs), axis=others)
            limit = tf.stop_gradient(tf.maximum(extremes, SMALLEST_LIMIT))
            weights["min"].assign(-limit)
            weights["max"].assign(limit)
        ends = weights["min"], weights["max"]
        if self.channel_axis is None:
            return tf.quantization.fake_quant_with_min_max_vars(inputs, *ends, narrow_range=True)
        order = list(range(len(inputs.shape)))
        order[self.channel_axis], order[-1] = order[-1], order[self.channel_axis]
        rounded = tf.quantization.fake_quant_with_min_max_vars_per_channel(
            tf.transpose(inputs, order), *ends, narrow_range=True
        )
        return tf.transpose(rounded, order)

    def get_config(self) -> dict[str, Any]:
        return {"channel_axis": self.channel_axis}


class RangeQuantizer(quantization.quantizers.FixedQuantizer):  # type: ignore[misc, name-defined]  # untyped
    """int8 activations over a range that calibration found and that training keeps."""

    def __call__(self, inputs: Any, training: bool, weights: Any, **kwargs: Any) -> Any:
        """The activations as int8 keeps them, without the scope that a tensor would be named by."""
        return tf.quantization.fake_quant_with_min_max_args(inputs, self.init_min, self.init_max)


def _config_of(layer: Any, output: tuple[float, float] | None) -> Any:
    """What is rounded of a layer: its kernel where it has one, its output where it has a range."""
    kernels = [_kernel_name(layer)] if has_kernel(layer) else []
    config = default_8bit_quantize_registry.Default8BitQuantizeConfig(
        kernels, [], quantize_output=output is not None
    )
    # The converter refuses a matrix with several scales in a trained graph.
    is_matrix = not kernels or isinstance(layer, tf_keras.layers.Dense)
    config.weight_quantizer = KernelQuantizer(None if is_matrix else output_axis(layer))
    if output is not None:
        config.activation_quantizer = RangeQuantizer(8, *output, narrow_range=False)
    return config


def fake_quantize(network: Any, ranges: Ranges, *, float_layers: Collection[str] = ()) -> Any:
    """A copy of a folded network that rounds kernels and activations to int8 as it runs.

    `ranges` holds every layer whose output is kept as an int8 tensor of the converted graph;
    `float_layers` keep their kernels as they are.
    """

    def wrap(layer: Any) -> Any:
        copy = type(layer).from_config(layer.get_config())
        output = ranges.get(layer.name)
        if layer.name in float_layers or (output is None and not has_kernel(layer)):
            return copy
        return quantization.QuantizeWrapperV2(copy, _config_of(layer, output), name=layer.name)

    quantised = tf_keras.models.clone_model(network, clone_function=wrap)
    for layer in filter(has_kernel, network.layers):
        variables = _weights_of(quantised.get_layer(layer.name))
        for variable, value in zip(variables, layer.get_weights(), strict=True):
            variable.assign(value)
    settle_kernel_ranges(quantised)
    return quantised


def settle_kernel_ranges(quantised: Any) -> None:
    """Set the range of every kernel from its values as they are now.

    A training step sets them before it changes the kernel, so they lag one step behind.
    """
    for layer in quantised.layers:
        for kernel, quantizer, variables in getattr(layer, "_weight_vars", ()):
            quantizer(kernel, True, variables)


def _weights_of(layer: Any) -> tuple[Any, Any]:
    """Kernel and bias; a wrapped layer's kernel is the wrapper's, which hands on a rounded one."""
    if not isinstance(layer, quantization.QuantizeWrapperV2):
        return layer.kernel, layer.bias
    ((kernel, _, _),) = layer._weight_vars
    return kernel, layer.layer.bias


def _kernel_name(layer: Any) -> str:
    return "depthwise_kernel" if isinstance(layer, tf_keras.layers.DepthwiseConv2D) else "kernel"
