"""The ends of a network in the shapes that outputs and training need, and a map of where it looked.

Zhou and others (CVPR 2016) weigh the last features by the weights of a linear head. This head has
one hidden layer of rectified units, which is linear too once it is known which units are active:

    logit = b2 + sum over active k of w2[k] * (b1[k] + mean over places of (features . W1[:, k]))

so that the map, at each place the sum over active k of w2[k] * (features . W1[:, k]), has the logit
for its mean, but for the biases of the active units. It is in units of the logit: what is positive
spoke for malignant, what is negative for benign.
"""

from typing import Any

import numpy as np

from edge_melanoma.converters.networks.folding import parents_of
from edge_melanoma.machine.tensorflow import tf, tf_keras
from edge_melanoma.network.network import GAP_LAYER, HIDDEN_LAYER
from edge_melanoma.tflite.quantization import LOGIT_NAME, MAP_NAME, SCORE_NAME

PIXELS_LAYER = "pixels"
UNITS_LAYER, ACTIVE_LAYER, SUM_LAYER = "map_units", "map_active_units", "map_sum"


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

    The two kernels that the map adds are those of the head once more, so that a file which keeps
    equal constants once grows by some operators only.
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


def _mark_active(hidden: Any) -> Any:
    """1 for a unit above 0, else 0, shaped to be multiplied at each place."""
    return tf.cast(hidden > 0.0, tf.float32)[:, tf.newaxis, tf.newaxis, :]
