"""Batch-norm taken into the kernels before it: what a converter does, done where it can be seen."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.machine.tensorflow import tf_keras

Float32 = NDArray[np.float32]


def fold_batch_norm(network: Any) -> Any:
    """The same function without batch-norm and dropout layers: each conv has a bias instead.

    A network that has no batch-norm, such as one that is folded already, is copied.

    Raises:
        ValueError: a convolution that no batch-norm layer follows.
    """
    folded = tf_keras.models.clone_model(network, clone_function=_clone_without_norm)
    norms = [x for x in network.layers if isinstance(x, tf_keras.layers.BatchNormalization)]
    if not norms:
        folded.set_weights(network.get_weights())
        return folded
    for layer in network.layers:
        if isinstance(layer, tf_keras.layers.Dense):
            folded.get_layer(layer.name).set_weights(layer.get_weights())
        elif has_kernel(layer):
            norm = layer.outbound_nodes[0].outbound_layer
            folded.get_layer(layer.name).set_weights(_fold(layer, norm))
    return folded


def has_kernel(layer: Any) -> bool:
    """Whether a layer multiplies by weights; in tf_keras a DepthwiseConv2D is no Conv2D."""
    layers = tf_keras.layers
    return isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D | layers.Dense)


def output_axis(layer: Any) -> int:
    """A depthwise kernel is (height, width, channels, 1), the others end with their channels."""
    if isinstance(layer, tf_keras.layers.DepthwiseConv2D):
        return 2
    return 1 if isinstance(layer, tf_keras.layers.Dense) else 3


def parents_of(layer: Any) -> list[str]:
    """The names of the layers whose outputs this one takes."""
    return [node.layer.name for node in layer.inbound_nodes[0].parent_nodes]


def _clone_without_norm(layer: Any) -> Any:
    layers = tf_keras.layers
    if isinstance(layer, layers.BatchNormalization | layers.Dropout):
        return layers.Activation("linear", name=layer.name)
    config = layer.get_config()
    if has_kernel(layer):
        config["use_bias"] = True
    return type(layer).from_config(config)


def _fold(layer: Any, norm: Any) -> list[Float32]:
    if not isinstance(norm, tf_keras.layers.BatchNormalization):
        raise ValueError(f"{layer.name} is followed by {norm.name}, expected a batch-norm layer")
    gamma, beta, mean, variance = (array.astype(np.float64) for array in norm.get_weights())
    factor = gamma / np.sqrt(variance + norm.epsilon)
    kernel = layer.get_weights()[0]
    shape = [1] * kernel.ndim
    shape[output_axis(layer)] = -1
    folded = kernel * factor.reshape(shape)
    return [folded.astype(np.float32), (beta - mean * factor).astype(np.float32)]
