"""One step of the optimizer: on one device, or shared by all devices of a training."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.machine.tensorflow import tf, tf_keras
from edge_melanoma.network.network import DROPOUT_LAYER, HIDDEN_LAYER
from edge_melanoma.tflite.quantization import SCORE_NAME
from edge_melanoma.training.replicas import Replicas
from edge_melanoma.training.workers import own_slice

Array = NDArray[np.floating]
"""In the precision of the model, which is float32 unless tf_keras is told otherwise."""


class Learner(Protocol):
    """What turns batches into steps of `optimizer`."""

    optimizer: Any

    def step(self, inputs: Array, labels: Array, *, images: int) -> Array:
        """Take a step; P(malignant) of `inputs` before it, shape (n,).

        `inputs` and `labels` are this process' share of a batch of `images`.
        """

    def settle(self) -> None:
        """Bring the network's own weights up to date."""


def make_learner(model: Any, *, learning_rate: float, replicas: Replicas) -> Learner:
    """A learner of `model`'s trainable weights, by Adam."""
    if replicas.strategy is None:
        return LoneLearner(model, learning_rate=learning_rate)
    return SharedLearner(model, learning_rate=learning_rate, replicas=replicas)


class LoneLearner:
    """Steps of the model itself, on one device."""

    def __init__(self, model: Any, *, learning_rate: float) -> None:
        self.optimizer = tf_keras.optimizers.Adam(learning_rate)
        self.optimizer.build(model.trainable_variables)
        self._step = _compile_step(model, self.optimizer)

    def step(self, inputs: Array, labels: Array, *, images: int) -> Array:
        """Take a step on a whole batch."""
        scores: Array = self._step(tf.constant(inputs), tf.constant(labels[:, None])).numpy()
        return scores[:, 0]

    def settle(self) -> None:
        """Nothing: the steps were the model's own."""


class SharedLearner:
    """Steps of a mirrored twin of the model, one replica a device, that equal those of one device.

    Gradients are summed over the replicas of all processes, batch norm that trains sees the whole
    batch, and dropout masks are drawn for the whole batch from the model's own generator.
    """

    def __init__(self, model: Any, *, learning_rate: float, replicas: Replicas) -> None:
        self._model, self._replicas = model, replicas
        self._hidden = int(model.get_layer(HIDDEN_LAYER).output_shape[-1])
        with replicas.strategy.scope():
            self._twin = _twin_of(model)
            self.optimizer = tf_keras.optimizers.Adam(learning_rate)
            self.optimizer.build(self._twin.trainable_variables)
        for twin, own in zip(self._twin.weights, model.weights, strict=True):
            twin.assign(replicas.of_first(own.numpy()))
        self._step = tf.function(self._run_step, reduce_retracing=True)

    def step(self, inputs: Array, labels: Array, *, images: int) -> Array:
        """Take a step on this process' share, together with all other processes."""
        replicas = self._replicas
        own = own_slice(images, parts=replicas.processes, index=replicas.index)
        kept = self._draw_dropout(images)[own]
        pieces = [
            own_slice(len(inputs), parts=replicas.local, index=number)
            for number in range(replicas.local)
        ]
        scores = self._step(
            replicas.spread([inputs[piece] for piece in pieces]),
            replicas.spread([kept[piece] for piece in pieces]),
            replicas.spread([labels[piece, None] for piece in pieces]),
            tf.constant(images, inputs.dtype),
        )
        parts = [value.numpy()[:, 0] for value in replicas.local_values(scores)]
        whole: Array = np.concatenate(parts)
        return whole

    def settle(self) -> None:
        """Copy the twin's weights into the model."""
        for twin, own in zip(self._twin.weights, self._model.weights, strict=True):
            own.assign(self._replicas.local_values(twin)[0])

    def _draw_dropout(self, images: int) -> Array:
        """The factors that the model's dropout layer would multiply a whole batch with."""
        ones = tf.ones((images, self._hidden), self._model.output.dtype)
        factors: Array = self._model.get_layer(DROPOUT_LAYER)(ones, training=True).numpy()
        return factors

    def _run_step(self, inputs: Any, kept: Any, labels: Any, images: Any) -> Any:
        return self._replicas.strategy.run(self._step_of_one, args=(inputs, kept, labels, images))

    def _step_of_one(self, inputs: Any, kept: Any, labels: Any, images: Any) -> Any:
        """The step of one replica; `apply_gradients` sums the gradients of all."""
        variables = self._twin.trainable_variables
        with tf.GradientTape() as tape:
            scores = self._twin([inputs, kept], training=True)
            losses = tf_keras.losses.binary_crossentropy(labels, scores)
            loss = tf.reduce_sum(losses) / images
        gradients = tape.gradient(loss, variables)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return scores


def _compile_step(model: Any, optimizer: Any) -> Any:
    variables = model.trainable_variables

    def step(inputs: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            scores = model(inputs, training=True)
            loss = tf.reduce_mean(tf_keras.losses.binary_crossentropy(labels, scores))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return scores

    signature = [
        tf.TensorSpec((None, *model.input_shape[1:]), model.input.dtype),
        tf.TensorSpec((None, 1), model.output.dtype),
    ]
    return tf.function(step, input_signature=signature)


def _twin_of(model: Any) -> Any:
    """The same layers and weights in the same order, with dropout's factors as a second input."""
    copy = tf_keras.models.clone_model(model, clone_function=_copy_layer)
    hidden = copy.get_layer(HIDDEN_LAYER).output
    kept = tf_keras.Input(hidden.shape[1:], name="kept")
    scored = copy.get_layer(SCORE_NAME)(tf_keras.layers.Multiply()([hidden, kept]))
    return tf_keras.Model([copy.input, kept], scored, name="twin")


def _copy_layer(layer: Any) -> Any:
    config = layer.get_config()
    if isinstance(layer, tf_keras.layers.BatchNormalization) and layer.trainable:
        config["synchronized"] = True
    return type(layer).from_config(config)
