"""What rounding does to every layer's mean output, measured on calibration images and undone.

Batch-norm folded into MobileNetV2's depthwise kernels leaves channels whose nine weights are large
and nearly cancel. Rounding them shifts the channel's mean by more than its signal, and rounded
activations add a little at each layer: plain post-training quantisation then loses melanomas. After
Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (2019), with
means that are measured, layer by layer in the order of the data, so that each correction sees the
errors that the layers before it left.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from edge_melanoma.converters.networks import rewriting
from edge_melanoma.converters.networks.rewriting import Float32, has_kernel
from edge_melanoma.machine.tensorflow import tf, tf_keras

INPUT_RANGE = (0.0, 1.0)
Rounding = Callable[[Any, Any], Float32]
"""From a layer and the inputs that it is given to a kernel that the converter will keep."""

Ranges = Mapping[str, tuple[float, float]]
"""Smallest and largest output by layer, 0 among them, as an int8 tensor will hold them."""


def correct_biases(
    network: Any, images: Float32, *, rounding: Rounding, ranges: Ranges | None = None
) -> Any:
    """A copy of `network`, folded and rounded, whose channels keep their means on `images`.

    `images` are network inputs (n, 224, 224, 3); all layers' outputs for them are held at once in
    pairs, so n is small. With `ranges`, activations are rounded to int8 on the way too.
    """
    reference, rounded = rewriting.fold_batch_norm(network), rewriting.fold_batch_norm(network)
    _match_means(reference, rounded, tf.constant(images), rounding, ranges)
    return rounded


def measure_ranges(network: Any, batches: Iterable[Float32]) -> Ranges:
    """The ranges of the tensors that stay in a converted graph: ReLU, linear outputs, sums, mean.

    Each end is the mean of those of the `batches`, so that one picture in a hundred cannot make the
    steps of all coarser, and another draw of pictures gives nearly the same file.
    """
    folded = rewriting.fold_batch_norm(network)
    names = [layer.name for layer in folded.layers if _is_kept_tensor(layer)]
    outputs = [folded.get_layer(name).output for name in names]
    ends = [(tf.reduce_min(output), tf.reduce_max(output)) for output in outputs]
    probe = tf_keras.Model(folded.input, ends)
    forward = tf.function(lambda batch: probe(batch, training=False))
    found = [np.array(forward(tf.constant(batch)), np.float64) for batch in batches]
    means = np.mean(found, axis=0).tolist()
    return {
        name: (min(low, 0.0), max(high, 0.0))
        for name, (low, high) in zip(names, means, strict=True)
    }


def round_to_float16(layer: Any, inputs: Any) -> Float32:
    """The kernel's nearest half-precision values, whatever its inputs are."""
    kernel: Float32 = layer.get_weights()[0].astype(np.float16).astype(np.float32)
    return kernel


def _match_means(
    reference: Any, rounded: Any, images: Any, rounding: Rounding, ranges: Ranges | None
) -> None:
    """Walk both networks side by side; each layer's bias takes up what its mean has lost."""
    first = rounded.layers[0].name
    expected, found = {first: images}, {first: images}
    if ranges is not None:
        found[first] = _round_activations(images, INPUT_RANGE)
    uses = Counter(parent for layer in rounded.layers[1:] for parent in rewriting.parents_of(layer))
    for layer in rounded.layers[1:]:
        parents, other = rewriting.parents_of(layer), reference.get_layer(layer.name)
        if has_kernel(layer):
            layer.set_weights([rounding(layer, found[parents[0]]), layer.get_weights()[1]])
        before, after = _run(other, parents, expected), _run(layer, parents, found)
        if has_kernel(layer):
            shift = tf.reduce_mean(before - after, axis=range(len(before.shape) - 1))
            layer.bias.assign_add(shift)
            before, after = other.activation(before), layer.activation(after + shift)
        if ranges is not None and layer.name in ranges:
            after = _round_activations(after, ranges[layer.name])
        expected[layer.name], found[layer.name] = before, after
        for parent in parents:
            uses[parent] -= 1
            if not uses[parent]:
                del expected[parent], found[parent]


def _run(layer: Any, parents: list[str], values: dict[str, Any]) -> Any:
    """The layer's output, before its activation where it has weights."""
    inputs = [values[parent] for parent in parents]
    if isinstance(layer, tf_keras.layers.Dense):
        return tf.matmul(inputs[0], layer.kernel) + layer.bias
    return layer(inputs if len(inputs) > 1 else inputs[0])


def _round_activations(values: Any, ends: tuple[float, float]) -> Any:
    return tf.quantization.fake_quant_with_min_max_args(values, min=ends[0], max=ends[1])


def _is_kept_tensor(layer: Any) -> bool:
    layers = tf_keras.layers
    if isinstance(layer, layers.ReLU | layers.Add | layers.GlobalAveragePooling2D):
        return True
    if isinstance(layer, layers.Dense):
        return bool(layer.activation is tf_keras.activations.relu)
    children = [node.outbound_layer for node in layer.outbound_nodes]
    is_norm = isinstance(layer, layers.Activation) and layer.name.endswith("_BN")
    return is_norm and not any(isinstance(child, layers.ReLU) for child in children)
