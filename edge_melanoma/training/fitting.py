"""The training loop of one stage: seeded, resumable, with exact metrics after every epoch."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.evaluation.metrics import measure
from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.network.network import arrays_of, assign_arrays, compile_forward, reset_dropout
from edge_melanoma.network.recipes import Stage
from edge_melanoma.training.averaging import WeightAverage
from edge_melanoma.training.batches import BatchSource
from edge_melanoma.training.checkpoints import HistoryRow, TrainingState
from edge_melanoma.training.learners import Learner, make_learner
from edge_melanoma.training.replicas import ALONE, Replicas
from edge_melanoma.training.schedules import learning_rate_at

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
        self, trainee: Trainee, stage: Stage, learner: Learner, state: TrainingState
    ) -> None:
        # How many images an epoch has does not depend on which of them are drawn.
        images = len(trainee.draw(np.random.default_rng(trainee.seed)))
        self.steps_per_epoch = -(-images // trainee.batch_size)
        self._stage, self._learner = stage, learner
        self._step = int(learner.optimizer.iterations.numpy())
        self.average = WeightAverage(
            trainee.network,
            decay=stage.average_decay,
            arrays=state.average_arrays,
        )

    def settle(self) -> None:
        """Bring the network up to date with the steps."""
        self._learner.settle()

    @property
    def learning_rate(self) -> float:
        """Of the step to come."""
        return learning_rate_at(self._stage, step=self._step, steps_per_epoch=self.steps_per_epoch)

    def __call__(
        self, inputs: NDArray[np.float32], labels: NDArray[np.float32], *, images: int
    ) -> NDArray[np.float64]:
        """Take a step on a share of a batch of `images`; its P(malignant) before it, shape (n,)."""
        self._learner.optimizer.learning_rate.assign(self.learning_rate)
        smoothing = np.float32(self._stage.label_smoothing)
        wanted = labels * (1 - 2 * smoothing) + smoothing
        scores = self._learner.step(inputs, wanted, images=images)
        self._step += 1
        if self.average.is_due(steps=self._step):
            self._learner.settle()
            self.average.update(steps=self._step)
        return scores.astype(np.float64)


def fit_stage(
    trainee: Trainee,
    stage: Stage,
    *,
    state: TrainingState,
    on_epoch: Callable[[], None],
    reporter: Reporter,
    replicas: Replicas = ALONE,
) -> None:
    """Train until the stage's epochs are over or its patience is; restore the best weights.

    `state` is brought up to date after every epoch and `on_epoch` is then called. The batches are
    shared out among `replicas`; every process then has the same state.
    """
    learner = make_learner(trainee.model, learning_rate=stage.learning_rate, replicas=replicas)
    optimizer = learner.optimizer
    _restore_optimizer(optimizer, state)
    stepper = _Stepper(trainee, stage, learner, state)
    forward = compile_forward(trainee.model)
    if trainee.rank is not None and state.best_loss is None:
        scores = _score(forward, trainee.validation, replicas)
        _note_best(trainee.network, stage, state, badness=trainee.rank(scores))
    while state.epoch < stage.epochs and not _patience_is_over(stage, state):
        row, scores = _run_epoch(trainee, stage, state, stepper, forward, reporter, replicas)
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
    return _score(compile_forward(model), source, ALONE)


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
    replicas: Replicas,
) -> tuple[HistoryRow, NDArray[np.float64]]:
    """The epoch's line of the history, and the validation scores after it."""
    start = time.perf_counter()
    seeds = [trainee.seed, state.stage, state.epoch]
    reset_dropout(trainee.network, seeds=seeds)
    order = trainee.draw(np.random.default_rng(seeds))
    batches = _own_batches(trainee, order, state.epoch, replicas)
    label = f"{stage.name} {state.epoch + 1}/{stage.epochs}"
    shown = reporter.track(batches, label=label, total=stepper.steps_per_epoch)
    own = [stepper(inputs, labels, images=images) for inputs, labels, images in shown]
    stepper.settle()
    rows = replicas.own_rows(len(order), batch_size=trainee.batch_size)
    scores = replicas.gather(np.concatenate(own), rows, rows=len(order))
    training = _summary(scores, trainee.train.labels[order], trainee.threshold)
    with stepper.average.in_network():
        after = _score(forward, trainee.validation, replicas)
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


def _own_batches(
    trainee: Trainee, order: NDArray[np.int64], epoch: int, replicas: Replicas
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32], int]]:
    """This process' share of each batch, which may be empty, and the number of all its images."""
    images, batch_size = len(order), trainee.batch_size
    own = order[replicas.own_rows(images, batch_size=batch_size)]
    own_size = len(replicas.own_rows(batch_size, batch_size=batch_size))
    batches = trainee.train.batches(own, batch_size=own_size, epoch=epoch)
    nothing = (np.zeros((0, *trainee.model.input_shape[1:]), np.float32), np.zeros(0, np.float32))
    for start in range(0, images, batch_size):
        yield *next(batches, nothing), min(batch_size, images - start)


def _score(
    forward: Callable[..., Any], source: BatchSource, replicas: Replicas
) -> NDArray[np.float64]:
    rows = len(source.labels)
    own = replicas.own_rows(rows, batch_size=rows)
    batches = source.batches(own, batch_size=EVALUATION_BATCH_SIZE, epoch=0)
    scores = [forward(inputs)[:, 0] for inputs, _ in batches]
    whole = np.concatenate([np.zeros(0, np.float32), *scores]).astype(np.float64)
    return replicas.gather(whole, own, rows=rows)


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
