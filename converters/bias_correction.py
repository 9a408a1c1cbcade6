"""What int8 weights do to every layer's mean output, measured on calibration images and undone.

Batch-norm folded into MobileNetV2's depthwise kernels leaves channels whose nine weights are large
and nearly cancel. Rounding them shifts the channel's mean by more than its signal, and plain
post-training quantisation then loses melanomas: on one frozen backbone the scores of 531 validation
images moved by 0.083 on average, with the correction by 0.018. After Nagel et al., "Data-Free
Quantization Through Weight Equalization and Bias Correction" (2019), with measured means.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.network import GAP_LAYER, HIDDEN_LAYER
from edge_melanoma.tensorflow_runtime import tf, tf_keras

LARGEST_INT8 = 127
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


Rounding = Callable[[Float32, int], Float32]
"""From a kernel and its output axis to the nearest kernel that the converter will keep."""


def correct_for_rounding(network: Any, inputs: Iterable[Float32], *, rounding: Rounding) -> Any:
    """A copy of `network` whose weights are rounded without a shift of any channel's mean.

    Batch-norm is folded, kernels lie on the grid that the converter will choose, and biases make up
    for the rounding on `inputs`, a few batches (n, 224, 224, 3) of calibration images.
    """
    folded = fold_batch_norm(network)
    layers = [layer for layer in folded.layers if _has_kernel(layer)]
    means = _mean_inputs(folded, layers, inputs)
    for layer, mean in zip(layers, means, strict=True):
        kernel, bias = layer.get_weights()
        rounded = rounding(kernel, _output_axis(layer))
        shift = _mean_output(layer, kernel - rounded, mean)
        layer.set_weights([rounded, bias + shift.astype(np.float32)])
    return folded


def fold_batch_norm(network: Any) -> Any:
    """The same function without batch-norm and dropout layers: each conv has a bias instead."""
    folded = tf_keras.models.clone_model(network, clone_function=_clone_without_norm)
    for layer in network.layers:
        if isinstance(layer, tf_keras.layers.Dense):
            folded.get_layer(layer.name).set_weights(layer.get_weights())
        elif _has_kernel(layer):
            norm = layer.outbound_nodes[0].outbound_layer
            folded.get_layer(layer.name).set_weights(_fold(layer, norm))
    return folded


def round_to_int8(kernel: Float32, output_axis: int) -> Float32:
    """The nearest values of a symmetric int8 grid with one scale an output channel."""
    axes = tuple(axis for axis in range(kernel.ndim) if axis != output_axis)
    scale = np.abs(kernel).max(axis=axes, keepdims=True).astype(np.float64) / LARGEST_INT8
    scale[scale == 0] = 1.0
    rounded: Float32 = (np.round(kernel / scale) * scale).astype(np.float32)
    return rounded


def round_to_float16(kernel: Float32, output_axis: int) -> Float32:
    """The nearest half-precision values; the axis does not matter."""
    return kernel.astype(np.float16).astype(np.float32)


def correct_pooled_features(corrected: Any, shift: Float64) -> None:
    """Take `shift` (1280,), reference minus quantised mean of the pooled features, into the head.

    What activations lose on their way is not in the weights: it is measured on the converted
    backbone. Without this step nearly all flips of one tuned network were lost melanomas.
    """
    hidden = corrected.get_layer(HIDDEN_LAYER)
    kernel, bias = hidden.get_weights()
    hidden.set_weights([kernel, bias + (shift @ kernel).astype(np.float32)])


def pooled_part(network: Any) -> Any:
    """The part of a network from the picture to its pooled features (n, 1280)."""
    return tf_keras.Model(network.input, network.get_layer(GAP_LAYER).output)


def _clone_without_norm(layer: Any) -> Any:
    layers = tf_keras.layers
    if isinstance(layer, layers.BatchNormalization | layers.Dropout):
        return layers.Activation("linear", name=layer.name)
    config = layer.get_config()
    if _has_kernel(layer):
        config["use_bias"] = True
    return type(layer).from_config(config)


def _fold(layer: Any, norm: Any) -> list[Float32]:
    if not isinstance(norm, tf_keras.layers.BatchNormalization):
        raise ValueError(f"{layer.name} is followed by {norm.name}, expected a batch-norm layer")
    gamma, beta, mean, variance = (array.astype(np.float64) for array in norm.get_weights())
    factor = gamma / np.sqrt(variance + norm.epsilon)
    kernel = layer.get_weights()[0]
    shape = [1] * kernel.ndim
    shape[_output_axis(layer)] = -1
    folded = kernel * factor.reshape(shape)
    return [folded.astype(np.float32), (beta - mean * factor).astype(np.float32)]


def _mean_inputs(folded: Any, layers: list[Any], inputs: Iterable[Float32]) -> list[Float64]:
    """The mean of every layer's input channels over all images and places."""
    means = [
        tf.reduce_mean(layer.input, axis=range(len(layer.input.shape) - 1)) for layer in layers
    ]
    probe = tf_keras.Model(folded.input, means)
    forward = tf.function(lambda batch: probe(batch, training=False))
    sums = [np.zeros(mean.shape) for mean in means]
    images = 0
    for batch in inputs:
        images += len(batch)
        for total, mean in zip(sums, forward(tf.constant(batch)), strict=True):
            total += len(batch) * mean.numpy().astype(np.float64)
    return [total / images for total in sums]


def _mean_output(layer: Any, kernel: Float32, mean: Float64) -> Float64:
    """What `kernel` makes of a constant input `mean`, a value an output channel; borders apart."""
    if isinstance(layer, tf_keras.layers.DepthwiseConv2D):
        output: Float64 = kernel.sum(axis=(0, 1))[:, 0] * mean
    elif isinstance(layer, tf_keras.layers.Dense):
        output = mean @ kernel
    else:
        output = mean @ kernel.sum(axis=(0, 1))
    return output


def _has_kernel(layer: Any) -> bool:
    # In tf_keras a DepthwiseConv2D is no Conv2D.
    layers = tf_keras.layers
    return isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D | layers.Dense)


def _output_axis(layer: Any) -> int:
    """A depthwise kernel is (height, width, channels, 1), the others end with their channels."""
    if isinstance(layer, tf_keras.layers.DepthwiseConv2D):
        return 2
    return 1 if isinstance(layer, tf_keras.layers.Dense) else 3
