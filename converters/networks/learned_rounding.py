"""Kernels rounded up or down so that their layer's output changes least, not each weight.

The nearest integer is best for a weight alone. For a layer it is not: errors of weights whose
inputs rise and fall together can cancel each other. What a layer's output loses, over the inputs
that it is given, is a quadratic form of its weights' errors; each weight in turn takes the integer
that makes it smallest, a few times over. After Nagel et al., "Up or Down? Adaptive Rounding for
Post-Training Quantization" (2020), whose relaxation by gradients is not needed for this, and
Behdin et al., "QuantEase" (2023), whose descent it is.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.converters.networks.rewriting import Float32
from edge_melanoma.machine.tensorflow import tf, tf_keras

LARGEST_INT8 = 127
SWEEPS = 5
DAMPING = 0.001
"""Share of its mean diagonal added to the form's diagonal: the inputs are a sample."""

LARGEST_WHOLE = 28
"""Of tensors larger than this every third row and column says enough of their covariance."""

IMAGES_AT_ONCE = 8
"""The patches of a depthwise layer take nine times the memory of its inputs."""

Float64 = NDArray[np.float64]


def round_kernel(layer: Any, inputs: Any, *, dense_by_unit: bool = True) -> Float32:
    """The layer's kernel on the symmetric int8 grid that a converter will find for it.

    `inputs` (n, height, width, channels), or (n, units) of a dense layer, are those that the int8
    network gives it. Each output channel has the step of its largest weight, which stays as it is;
    a dense layer may have one step for all units, which is all that a trained graph can hold.
    """
    kernel = layer.get_weights()[0]
    by_output = dense_by_unit or not isinstance(layer, tf_keras.layers.Dense)
    if isinstance(layer, tf_keras.layers.DepthwiseConv2D):
        height, width, channels, _ = kernel.shape
        weights = kernel.reshape(height * width, channels).T[..., np.newaxis].astype(np.float64)
        rounded = _descend(weights, _forms_of(_patches(layer, inputs), by_channel=True))
        return np.asarray(rounded[..., 0].T.reshape(kernel.shape), np.float32)
    weights = kernel.reshape(1, -1, kernel.shape[-1]).astype(np.float64)
    rounded = _descend(
        weights, _forms_of(_patches(layer, inputs), by_channel=False), by_output=by_output
    )
    return np.asarray(rounded.reshape(kernel.shape), np.float32)


def _descend(weights: Float64, forms: Float64, *, by_output: bool = True) -> Float64:
    """Weights (groups, inputs, outputs) rounded to lose least by forms (groups, inputs, inputs)."""
    axes = (1,) if by_output else (1, 2)
    largest = np.abs(weights).max(axis=axes, keepdims=True)
    step = _step_of(largest)
    is_pinned = np.abs(weights) == largest

    def to_grid(values: Float64, at: Any = slice(None)) -> Float64:
        clipped = np.clip(np.round(values / step[:, 0]), -LARGEST_INT8, LARGEST_INT8) * step[:, 0]
        return np.where(is_pinned[:, at], weights[:, at], clipped)

    rounded = np.stack([to_grid(weights[:, i], i) for i in range(weights.shape[1])], axis=1)
    slope = forms @ (weights - rounded)
    for _ in range(SWEEPS):
        for i in range(weights.shape[1]):
            best = to_grid(rounded[:, i] + slope[:, i] / forms[:, i, i, np.newaxis], i)
            change = best - rounded[:, i]
            if change.any():
                slope -= forms[:, :, i, np.newaxis] * change[:, np.newaxis]
                rounded[:, i] = best
    return rounded


def _step_of(largest: Float64) -> Float64:
    return np.where(largest > 0, largest / LARGEST_INT8, 1.0)


def _patches(layer: Any, inputs: Any) -> Any:
    """Per few images, what the kernel is multiplied by: (places, kernel size, channels)."""
    channels = inputs.shape[-1]
    sizes = getattr(layer, "kernel_size", (1, 1))
    is_large = len(inputs.shape) == 4 and inputs.shape[1] > LARGEST_WHOLE
    strides = (3, 3) if is_large else getattr(layer, "strides", (1, 1))
    for first in range(0, len(inputs), IMAGES_AT_ONCE):
        part = inputs[first : first + IMAGES_AT_ONCE]
        if sizes != (1, 1) or strides != (1, 1):
            one = [1, 1, 1, 1]
            part = tf.image.extract_patches(part, [1, *sizes, 1], [1, *strides, 1], one, "SAME")
        yield tf.reshape(part, (-1, int(np.prod(sizes)), channels))


def _forms_of(patches: Any, *, by_channel: bool) -> Float64:
    """The covariance of what weights are multiplied by: their bias takes up the mean."""
    products, sums, places = [], [], 0
    for part in patches:
        size, channels = part.shape[1:]
        by_row = part if by_channel else tf.reshape(part, (-1, size * channels, 1))
        columns = tf.transpose(by_row, (2, 0, 1))
        products.append(tf.matmul(columns, columns, transpose_a=True).numpy())
        sums.append(tf.reduce_sum(columns, axis=1).numpy())
        places += int(columns.shape[1])
    mean: Float64 = np.asarray(np.sum(sums, axis=0, dtype=np.float64)) / places
    forms: Float64 = np.asarray(np.sum(products, axis=0, dtype=np.float64)) / places
    forms -= mean[:, :, np.newaxis] * mean[:, np.newaxis]
    damping = DAMPING * np.trace(forms, axis1=1, axis2=2) / forms.shape[1] + 1e-12
    forms += damping[:, np.newaxis, np.newaxis] * np.eye(forms.shape[1])
    return forms
