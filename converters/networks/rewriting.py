"""Networks in the shapes that conversion and training need: folded, cut, with a second output."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.machine.tensorflow import tf, tf_keras
from edge_melanoma.network.network import GAP_LAYER, HIDDEN_LAYER
from edge_melanoma.tflite.quantization import LOGIT_NAME, MAP_NAME, SCORE_NAME

PIXELS_LAYER = "pixels"
UNITS_LAYER, ACTIVE_LAYER, SUM_LAYER = "map_units", "map_active_units", "map_sum"
Float32 = NDArray[np.float32]


def fold_batch_norm(network: Any) -> Any:
    """The same function without batch-norm and dropout layers: each conv has a bias instead.

    A converter does the same where nobody sees it. A network without batch-norm is copied.

    Raises:
        ValueError: a convolution that no batch-norm layer follows.
    """
    folded = tf_keras.models.clone_model(network, clone_function=_clone_without_norm)
    if not any(isinstance(x, tf_keras.layers.BatchNormalization) for x in network.layers):
        folded.set_weights(network.get_weights())
        return folded
    for layer in filter(has_kernel, network.layers):
        is_dense = isinstance(layer, tf_keras.layers.Dense)
        folded.get_layer(layer.name).set_weights(layer.get_weights() if is_dense else _fold(layer))
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


def ends_over(
    batches: Iterable[Float32], measure: Callable[[Any], list[Any]], *, shape: Sequence[int]
) -> list[NDArray[np.float64]]:
    """The smallest and largest of all that `measure` finds in inputs (n, *shape), (2, channels).

    It gives a tensor (2, channels) of each place for a batch.

    Raises:
        ValueError: there are no batches.
    """
    signature = [tf.TensorSpec((None, *shape), tf.float32)]
    forward = tf.function(measure, input_signature=signature)
    found = [[ends.numpy() for ends in forward(tf.constant(batch))] for batch in batches]
    if not found:
        raise ValueError("there are no batches of calibration images")
    stacks = (np.stack(ends).astype(np.float64) for ends in zip(*found, strict=True))
    return [np.stack([ends[:, 0].min(axis=0), ends[:, 1].max(axis=0)]) for ends in stacks]


def without_sigmoid(network: Any) -> Any:
    """The network up to its logit, sharing all layers but the last."""
    score = network.get_layer(SCORE_NAME)
    logit = tf_keras.layers.Dense(1, name=LOGIT_NAME)
    cut = tf_keras.Model(network.input, logit(score.input), name=network.name)
    logit.set_weights(score.get_weights())
    return cut


def separate_ends(network: Any) -> Any:
    """A copy whose picture, logit and score are outputs of layers of their own, to be rounded.

    After the input comes `pixels`, which changes nothing; `logit` and the sigmoid `p_malignant`
    take the place of one dense layer.
    """
    layers = tf_keras.layers
    first, *middle, score = network.layers
    image = tf_keras.Input(network.input_shape[1:], name=first.name)
    values = {first.name: layers.Activation("linear", name=PIXELS_LAYER)(image)}
    for layer in middle:
        copy = type(layer).from_config(layer.get_config())
        inputs = [values[parent] for parent in parents_of(layer)]
        values[layer.name] = copy(inputs if len(inputs) > 1 else inputs[0])
        copy.set_weights(layer.get_weights())
    logit = layers.Dense(1, name=LOGIT_NAME)
    (parent,) = parents_of(score)
    output = layers.Activation("sigmoid", name=SCORE_NAME)(logit(values[parent]))
    logit.set_weights(score.get_weights())
    return tf_keras.Model(image, output, name=network.name)


def with_activation_map(network: Any) -> Any:
    """The network with a second output `class_activation_map` (batch, 7, 7), sharing its layers.

    Zhou and others (CVPR 2016) weigh the last features by the weights of a linear head. This head
    has one hidden layer of rectified units, linear too once it is known which units are active:

        logit = b2 + sum over active k of w2[k] * (b1[k] + mean over places (features . W1[:, k]))

    so that the map, at each place the sum over active k of w2[k] * (features . W1[:, k]), has the
    logit for its mean, but for the biases of the active units: what is positive spoke for
    malignant. Its two kernels are those of the head, which a file keeps once.
    """
    layers = tf_keras.layers
    features = network.get_layer(GAP_LAYER).input
    head = [network.get_layer(name) for name in (HIDDEN_LAYER, SCORE_NAME)]
    units = layers.Conv2D(head[0].units, 1, use_bias=False, name=UNITS_LAYER)(features)
    active = layers.Lambda(_mark_active, name=ACTIVE_LAYER)(head[0].output)
    spoke = layers.Conv2D(1, 1, use_bias=False, name=SUM_LAYER)(layers.Multiply()([units, active]))
    places = tuple(int(side) for side in features.shape[1:3])
    seen = layers.Reshape(places, name=MAP_NAME)(spoke)
    mapped = tf_keras.Model(network.input, [network.output, seen], name=network.name)
    for name, layer in zip((UNITS_LAYER, SUM_LAYER), head, strict=True):
        mapped.get_layer(name).set_weights([layer.get_weights()[0][np.newaxis, np.newaxis]])
    return mapped


def _clone_without_norm(layer: Any) -> Any:
    layers = tf_keras.layers
    if isinstance(layer, layers.BatchNormalization | layers.Dropout):
        return layers.Activation("linear", name=layer.name)
    config = layer.get_config() | ({"use_bias": True} if has_kernel(layer) else {})
    return type(layer).from_config(config)


def _fold(layer: Any) -> list[Float32]:
    norm = layer.outbound_nodes[0].outbound_layer
    if not isinstance(norm, tf_keras.layers.BatchNormalization):
        raise ValueError(f"{layer.name} is followed by {norm.name}, expected a batch-norm layer")
    gamma, beta, mean, variance = (array.astype(np.float64) for array in norm.get_weights())
    factor = gamma / np.sqrt(variance + norm.epsilon)
    kernel = layer.get_weights()[0]
    shape = [1] * kernel.ndim
    shape[output_axis(layer)] = -1
    folded = kernel * factor.reshape(shape)
    return [folded.astype(np.float32), (beta - mean * factor).astype(np.float32)]


def _mark_active(hidden: Any) -> Any:
    """1 for a unit above 0, else 0, shaped to be multiplied at each place."""
    return tf.cast(hidden > 0.0, tf.float32)[:, tf.newaxis, tf.newaxis, :]
