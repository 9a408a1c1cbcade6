"""One stage of a training by Keras' own `fit`: seeded, resumable, on one device or on several.

The weights are those of a plain loop of gradient steps over the same batches, bit for bit.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from edge_melanoma.machine.tensorflow import tf, tf_keras
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.network.network import arrays_of
from edge_melanoma.network.recipes import Stage
from edge_melanoma.training.batches import EpochBatches
from edge_melanoma.training.callbacks import EpochScores, StageEpochs, WeightAverage
from edge_melanoma.training.checkpoints import TrainingState
from edge_melanoma.training.devices import ALONE, Devices
from edge_melanoma.training.trainee import Trainee

STEPS_AT_ONCE = 8
"""Steps between two returns to Python, which take half of the time where the head trains alone."""


def fit_stage(
    trainee: Trainee,
    *,
    state: TrainingState,
    on_epoch: Callable[[], None],
    reporter: Reporter,
    devices: Devices = ALONE,
    callbacks: tuple[Any, ...] = (),
) -> None:
    """Train until the stage's epochs are over or its patience is; restore the best weights.

    `state` is brought up to date after every epoch and `on_epoch` is then called. Every process
    that the batches are shared among then has the same state. `callbacks` are further ones of
    Keras; its logs hold the exact metrics.
    """
    stage, model = trainee.stage, trainee.model
    batches = _batches_of(trainee, state, devices)
    scores = _compile(trainee, batches, devices)
    with devices.scope():
        for number, array in state.optimizer_arrays.items():
            model.optimizer.variables[int(number)].assign(array)
    average = WeightAverage(trainee.network, state, decay=stage.average_decay)
    epochs = StageEpochs(
        trainee,
        state,
        scores=scores,
        average=average,
        devices=devices,
        on_epoch=on_epoch,
        reporter=reporter,
    )
    if trainee.rank is not None and state.best_loss is None:
        state.best_loss, state.best_arrays = trainee.rank(epochs.validate()), arrays_of(model)
    is_over = stage.patience is not None and state.epochs_since_best >= stage.patience
    data: Any = batches
    if devices.strategy is not None:
        data = devices.dataset(batches.for_each_device(), like=batches[0])
    try:
        model.fit(
            data,
            steps_per_epoch=len(batches),
            shuffle=False,
            verbose=0,
            epochs=stage.epochs,
            initial_epoch=stage.epochs if is_over else state.epoch,
            callbacks=[average, epochs, *callbacks],
        )
    except tf.errors.OpError:
        if batches.error is not None:
            # As it was raised in the reader.
            raise batches.error from None
        raise
    average.settle()


class StageRate(tf_keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """The learning rates of a stage's steps, made in float64 and looked up; tf_keras is untyped."""

    def __init__(self, stage: Stage, *, steps_per_epoch: int) -> None:
        steps = range(stage.epochs * steps_per_epoch + 1)
        rates = [stage.rate_at(step=s, steps_per_epoch=steps_per_epoch) for s in steps]
        self._rates = np.array(rates, dtype=tf_keras.backend.floatx())

    def __call__(self, step: Any) -> Any:
        return tf.gather(self._rates, tf.minimum(step, len(self._rates) - 1))


def _batches_of(trainee: Trainee, state: TrainingState, devices: Devices) -> EpochBatches:
    rows = len(trainee.order(state.stage, state.epoch)) // devices.total * devices.total
    targets = trainee.train.labels if trainee.targets is None else trainee.targets
    smoothing = np.float32(trainee.stage.label_smoothing)
    columns = [targets * (1 - 2 * smoothing) + smoothing]
    if trainee.diagnoses is not None:
        columns.append(trainee.diagnoses)
    return EpochBatches(
        trainee.train,
        lambda epoch: trainee.order(state.stage, epoch)[:rows],
        targets=np.stack(columns, axis=1),
        batch_size=trainee.batch_size,
        epoch=state.epoch,
        devices=devices,
    )


def _compile(trainee: Trainee, batches: EpochBatches, devices: Devices) -> EpochScores:
    """Make the model ready for `fit`, and give the metric that collects its scores."""
    stage, model = trainee.stage, trainee.model
    devices.synchronise_batch_norm(trainee.network)
    with devices.scope():
        scores = EpochScores(batches.rows)
        model.compile(
            tf_keras.optimizers.Adam(StageRate(stage, steps_per_epoch=len(batches))),
            loss=partial(_loss, diagnosis_loss=trainee.diagnosis_loss),
            metrics=[scores],
            # The average looks at the weights after every step.
            steps_per_execution=1 if stage.average_decay else STEPS_AT_ONCE,
        )
        model.optimizer.build(model.trainable_variables)
    return scores


def _loss(wanted: Any, outputs: Any, *, diagnosis_loss: float) -> Any:
    """Each row's, shape (n,); the columns of `wanted` are those of `EpochBatches`."""
    # A slice of the scores would hide their logits, from which Keras takes the loss and its slope.
    scores = outputs[:, :1] if diagnosis_loss else outputs
    loss = tf_keras.losses.binary_crossentropy(wanted[:, 1:2], scores)
    if not diagnosis_loss:
        return loss
    named = tf.cast(wanted[:, 2], tf.int32)
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(named, 0), outputs[:, 1:])
    return loss + diagnosis_loss * tf.where(named >= 0, entropy, 0.0)
