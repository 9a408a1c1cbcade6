"""The training loop of one stage: seeded, resumable, with exact metrics after every epoch."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.averaging import WeightAverage
from edge_melanoma.batches import BatchSource
from edge_melanoma.checkpoints import HistoryRow, TrainingState
from edge_melanoma.metrics import measure
from edge_melanoma.network import arrays_of, assign_arrays, compile_forward, reset_dropout
from edge_melanoma.predictions import PredictionSet
from edge_melanoma.progress import Reporter
from edge_melanoma.schedules import learning_rate_at
from edge_melanoma.stages import Stage
from edge_melanoma.tensorflow_runtime import tf, tf_keras

EVALUATION_BATCH_SIZE = 64
HISTORY_THRESHOLD = 0.5
SMALLEST_PROBABILITY = 1e-7
"""Of tf_keras' binary cross-entropy: scores are clipped to it before the logarithm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainee:
    """What one stage trains: `model` is the network, or the part of it that is not frozen.

    `rank` of the validation scores is smallest for the best weights, the first ones among them;
    without it the validation loss is, from the first epoch on. `threshold` is that of the metrics.
    """

    network: Any
    model: Any
    train: BatchSource
    validation: BatchSource
    batch_size: int
    seed: int
    threshold: float = HISTORY_THRESHOLD
    rank: Callable[[NDArray[np.float64]], float] | None = None
    sampler: Callable[[np.random.Generator], NDArray[np.int64]] | None = None

    def draw(self, random: np.random.Generator) -> NDArray[np.int64]:
        """The positions of an epoch's images in their order; all of them without a sampler."""
        if self.sampler is not None:
            return self.sampler(random)
        return random.permutation(len(self.train.labels))


class _Stepper:
    """Steps of the optimizer at the stage's learning rates, and the average of their weights."""

    def __init__(
        self, trainee: Trainee, stage: Stage, optimizer: Any, state: TrainingState
    ) -> None:
        # How many images an epoch has does not depend on which of them are drawn.
        images = len(trainee.draw(np.random.default_rng(trainee.seed)))
        self.steps_per_epoch = -(-images // trainee.batch_size)
        self._stage, self._optimizer = stage, optimizer
        self._step = int(optimizer.iterations.numpy())
        self._train_step = _make_train_step(trainee.model, optimizer)
        self.average = WeightAverage(
            trainee.network,
            decay=stage.average_decay,
            arrays=state.average_arrays,
        )

    @property
    def learning_rate(self) -> float:
        """Of the step to come."""
        return learning_rate_at(self._stage, step=self._step, steps_per_epoch=self.steps_per_epoch)

    def __call__(
        self, inputs: NDArray[np.float32], labels: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Take a step; the batch's P(malignant) before it, shape (n,)."""
        self._optimizer.learning_rate.assign(self.learning_rate)
        smoothing = np.float32(self._stage.label_smoothing)
        wanted = labels * (1 - 2 * smoothing) + smoothing
        scores = self._train_step(tf.constant(inputs), tf.constant(wanted[:, None]))
        self._step += 1
        self.average.update(steps=self._step)
        return np.asarray(scores.numpy()[:, 0], dtype=np.float64)


def fit_stage(
    trainee: Trainee,
    stage: Stage,
    *,
    state: TrainingState,
    on_epoch: Callable[[], None],
    reporter: Reporter,
) -> None:
    """Train until the stage's epochs are over or its patience is; restore the best weights.

    `state` is brought up to date after every epoch and `on_epoch` is then called.
    """
    optimizer = tf_keras.optimizers.Adam(stage.learning_rate)
    optimizer.build(trainee.model.trainable_variables)
    _restore_optimizer(optimizer, state)
    stepper = _Stepper(trainee, stage, optimizer, state)
    forward = compile_forward(trainee.model)
    if trainee.rank is not None and state.best_loss is None:
        scores = _score(forward, trainee.validation)
        _note_best(trainee.network, stage, state, badness=trainee.rank(scores))
    while state.epoch < stage.epochs and not _patience_is_over(stage, state):
        row, scores = _run_epoch(trainee, stage, state, stepper, forward, reporter)
        state.history.append(row)
        state.epoch += 1
        badness = trainee.rank(scores) if trainee.rank else float(row["val_loss"])
        _note_best(trainee.network, stage, state, badness=badness)
        state.average_arrays = stepper.average.arrays
        state.optimizer_arrays = {
            str(number): variable.numpy() for number, variable in enumerate(optimizer.variables)
        }
        on_epoch()
        reporter.say(describe_epoch(row, epochs=stage.epochs))
    stepper.average.settle()
    if stage.patience is not None and state.best_arrays:
        assign_arrays(trainee.network, state.best_arrays, source=None)


def describe_epoch(row: HistoryRow, *, epochs: int) -> str:
    """One line for a person."""
    return (
        f"{row['stage']} {row['epoch']}/{epochs}: validation recall {row['val_recall']:.3f}, "
        f"accuracy {row['val_accuracy']:.3f}, AUC {row['val_auc']:.4f}, "
        f"loss {row['val_loss']:.4f} (training {row['loss']:.4f}), {row['seconds']:.1f} s"
    )


def score_batches(model: Any, source: BatchSource) -> NDArray[np.float64]:
    """P(malignant), shape (n,), of all images of a source, in their order."""
    return _score(compile_forward(model), source)


def cross_entropy(scores: NDArray[np.float64], labels: NDArray[np.float32]) -> float:
    """Mean binary cross-entropy in nats."""
    clipped = np.clip(scores, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return float(-np.mean(np.where(labels > 0.5, np.log(clipped), np.log1p(-clipped))))


def _run_epoch(
    trainee: Trainee,
    stage: Stage,
    state: TrainingState,
    stepper: _Stepper,
    forward: Callable[..., Any],
    reporter: Reporter,
) -> tuple[HistoryRow, NDArray[np.float64]]:
    """The epoch's line of the history, and the validation scores after it."""
    start = time.perf_counter()
    seeds = [trainee.seed, state.stage, state.epoch]
    reset_dropout(trainee.network, seeds=seeds)
    order = trainee.draw(np.random.default_rng(seeds))
    batches = trainee.train.batches(order, batch_size=trainee.batch_size, epoch=state.epoch)
    label = f"{stage.name} {state.epoch + 1}/{stage.epochs}"
    shown = reporter.track(batches, label=label, total=stepper.steps_per_epoch)
    scores = np.concatenate([stepper(inputs, labels) for inputs, labels in shown])
    training = _summary(scores, trainee.train.labels[order], trainee.threshold)
    with stepper.average.in_network():
        after = _score(forward, trainee.validation)
    validation = _summary(after, trainee.validation.labels, trainee.threshold)
    row: HistoryRow = {
        "stage": stage.name,
        "epoch": state.epoch + 1,
        **training,
        **{f"val_{name}": value for name, value in validation.items()},
        "learning_rate": stepper.learning_rate,
        "seconds": round(time.perf_counter() - start, 3),
    }
    return row, after


def _make_train_step(model: Any, optimizer: Any) -> Callable[..., Any]:
    variables = model.trainable_variables

    def step(inputs: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            scores = model(inputs, training=True)
            loss = tf.reduce_mean(tf_keras.losses.binary_crossentropy(labels, scores))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return scores

    signature = [
        tf.TensorSpec((None, *model.input_shape[1:]), tf.float32),
        tf.TensorSpec((None, 1), tf.float32),
    ]
    return tf.function(step, input_signature=signature)  # type: ignore[no-any-return]  # untyped


def _score(forward: Callable[..., Any], source: BatchSource) -> NDArray[np.float64]:
    order = np.arange(len(source.labels))
    batches = source.batches(order, batch_size=EVALUATION_BATCH_SIZE, epoch=0)
    scores = [forward(inputs)[:, 0] for inputs, _ in batches]
    return np.concatenate(scores).astype(np.float64)


def _summary(
    scores: NDArray[np.float64], labels: NDArray[np.float32], threshold: float
) -> dict[str, float]:
    ids = tuple(str(number) for number in range(len(labels)))
    predictions = PredictionSet(image_ids=ids, labels=labels > 0.5, scores=scores)
    metrics = measure(predictions, threshold=threshold)
    return {
        "loss": cross_entropy(scores, labels),
        "accuracy": metrics.accuracy,
        "recall": metrics.recall,
        "auc": metrics.auc,
    }


def _note_best(network: Any, stage: Stage, state: TrainingState, *, badness: float) -> None:
    if stage.patience is None:
        return
    if state.best_loss is None or badness < state.best_loss:
        state.best_loss, state.epochs_since_best = badness, 0
        state.best_arrays = arrays_of(network)
    else:
        state.epochs_since_best += 1


def _patience_is_over(stage: Stage, state: TrainingState) -> bool:
    return stage.patience is not None and state.epochs_since_best >= stage.patience


def _restore_optimizer(optimizer: Any, state: TrainingState) -> None:
    for number, variable in enumerate(optimizer.variables):
        if str(number) in state.optimizer_arrays:
            variable.assign(state.optimizer_arrays[str(number)])
