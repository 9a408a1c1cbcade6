"""The two ends of a network, in the shapes that the kinds of output and training need."""

from typing import Any

from edge_melanoma.converters.networks.folding import parents_of
from edge_melanoma.machine.tensorflow_runtime import tf_keras
from edge_melanoma.tflite.quantization import LOGIT_NAME, SCORE_NAME

PIXELS_LAYER, LOGIT_LAYER, SCORE_LAYER = "pixels", LOGIT_NAME, SCORE_NAME


def without_sigmoid(network: Any) -> Any:
    """The network up to its logit, sharing all layers but the last."""
    score = network.get_layer(SCORE_LAYER)
    logit = tf_keras.layers.Dense(1, name=LOGIT_LAYER)
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
    logit = layers.Dense(1, name=LOGIT_LAYER)
    (parent,) = parents_of(score)
    output = layers.Activation("sigmoid", name=SCORE_LAYER)(logit(values[parent]))
    logit.set_weights(score.get_weights())
    return tf_keras.Model(image, output, name=network.name)
