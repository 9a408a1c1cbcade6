"""One stage of a training by Keras' own `fit`: seeded, resumable, on one device or on several.

The weights are those of a plain loop of gradient steps over the same batches, bit for bit.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.machine.tensorflow import tf, tf_keras
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.network.network import arrays_of, compile_forward
from edge_melanoma.network.recipes import Stage
from edge_melanoma.training.batches import BatchSource, EpochBatches
from edge_melanoma.training.callbacks import (
    BestWeights,
    EpochMetrics,
    EpochScores,
    KeptState,
    ShownProgress,
    WeightAverage,
    learning_rate_at,
    score,
)
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
    stage, model, total = trainee.stage, trainee.model, devices.total
    rows = len(trainee.order(state.stage, state.epoch)) // total * total
    batches = EpochBatches(
        trainee.train,
        lambda epoch: trainee.order(state.stage, epoch)[:rows],
        batch_size=trainee.batch_size,
        label_smoothing=stage.label_smoothing,
        epoch=state.epoch,
        devices=devices,
    )
    scores = _compile(trainee, steps=len(batches), rows=rows, devices=devices)
    with devices.scope():
        for number, array in state.optimizer_arrays.items():
            model.optimizer.variables[int(number)].assign(array)
    average = WeightAverage(trainee.network, decay=stage.average_decay, arrays=state.average_arrays)
    metrics = EpochMetrics(trainee, state, scores=scores, average=average, devices=devices)
    if trainee.rank is not None and state.best_loss is None:
        state.best_loss, state.best_arrays = trainee.rank(metrics.validate()), arrays_of(model)
    best = [] if stage.patience is None else [BestWeights(state, patience=stage.patience)]
    kept = KeptState(state, average=average, on_epoch=on_epoch)
    progress = ShownProgress(reporter, state, stage=stage)
    averaging = [average] if stage.average_decay else []
    _fit(
        model,
        batches,
        devices,
        epochs=stage.epochs,
        initial_epoch=stage.epochs if _is_over(stage, state) else state.epoch,
        callbacks=[*averaging, metrics, *best, *callbacks, kept, progress],
    )
    average.settle()


def score_batches(model: Any, source: BatchSource) -> NDArray[np.float64]:
    """P(malignant), shape (n,), of all images of a source, in their order."""
    return score(compile_forward(model), source)


class StageRate(tf_keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """The learning rates of a stage's steps, made in float64 and looked up; tf_keras is untyped."""

    def __init__(self, stage: Stage, *, steps_per_epoch: int) -> None:
        steps = range(stage.epochs * steps_per_epoch + 1)
        rates = [learning_rate_at(stage, step=s, steps_per_epoch=steps_per_epoch) for s in steps]
        self._rates = np.array(rates, dtype=tf_keras.backend.floatx())

    def __call__(self, step: Any) -> Any:
        return tf.gather(self._rates, tf.minimum(step, len(self._rates) - 1))

    def get_config(self) -> dict[str, Any]:
        """Nothing: no optimizer is saved by its configuration."""
        return {}


def _compile(trainee: Trainee, *, steps: int, rows: int, devices: Devices) -> EpochScores:
    """Make the model ready for `fit`, and give the metric that collects its scores."""
    stage, model = trainee.stage, trainee.model
    devices.synchronise_batch_norm(trainee.network)
    with devices.scope():
        scores = EpochScores(rows)
        model.compile(
            tf_keras.optimizers.Adam(StageRate(stage, steps_per_epoch=steps)),
            loss=_cross_entropy,
            metrics=[scores],
            # The average looks at the weights after every step.
            steps_per_execution=1 if stage.average_decay else STEPS_AT_ONCE,
        )
        model.optimizer.build(model.trainable_variables)
    return scores


def _cross_entropy(wanted: Any, scores: Any) -> Any:
    """Of each row; the second column of `wanted` is the row's place in the epoch."""
    return tf_keras.losses.binary_crossentropy(wanted[:, :1], scores)


def _fit(model: Any, batches: EpochBatches, devices: Devices, **arguments: Any) -> None:
    """Keras' own loop; what a picture could not be read for is raised as it was in the reader."""
    data: Any = batches
    if devices.strategy is not None:
        data = devices.dataset(batches.for_each_device(), like=batches[0])
    try:
        model.fit(data, steps_per_epoch=len(batches), shuffle=False, verbose=0, **arguments)
    except tf.errors.OpError:
        if batches.error is not None:
            raise batches.error from None
        raise


def _is_over(stage: Stage, state: TrainingState) -> bool:
    return state.epoch >= stage.epochs or (
        stage.patience is not None and state.epochs_since_best >= stage.patience
    )
