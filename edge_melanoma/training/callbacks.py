"""What happens between the epochs of Keras' `fit`: metrics, averages, patience, a state to keep."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.evaluation.metrics import area_under_roc
from edge_melanoma.evaluation.sources import auc_within
from edge_melanoma.machine.tensorflow import tf, tf_keras
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.network.network import arrays_of, assign_arrays, compile_forward, reset_dropout
from edge_melanoma.training.batches import BatchSource
from edge_melanoma.training.checkpoints import HistoryRow, TrainingState
from edge_melanoma.training.devices import ALONE, Devices
from edge_melanoma.training.trainee import Trainee

EVALUATION_BATCH_SIZE = 64

SMALLEST_PROBABILITY = 1e-7
"""Of tf_keras' binary cross-entropy: scores are clipped to it before the logarithm."""

UPDATE_INTERVAL = 10
"""Steps between two updates: the average moves by whole epochs, copies cost milliseconds."""

BADNESS = "badness"
"""The name, among Keras' logs, of what is smallest for the best weights."""

Scores = NDArray[np.float64]
Callback: Any = tf_keras.callbacks.Callback


class EpochScores(tf_keras.metrics.Metric):  # type: ignore[misc]  # tf_keras is untyped
    """P(malignant) of all rows of an epoch, each before the step that it was part of.

    Targets are those of `EpochBatches`. Read at the end of an epoch, over all devices: Keras' own
    metrics are binned, and its result after every step is of no use here.
    """

    def __init__(self, rows: int) -> None:
        super().__init__(name="scores")
        self._shape = (rows,)
        self.scores = self.add_weight("scores", shape=self._shape, initializer="zeros")

    def update_state(self, wanted: Any, scores: Any, sample_weight: Any = None) -> None:
        """Put the scores (n, 1) at their places."""
        places = tf.cast(wanted[:, :1], tf.int32)
        self.scores.assign_add(tf.scatter_nd(places, scores[:, 0], self._shape))

    def reset_state(self) -> None:
        """Begin an epoch."""
        self.scores.assign(tf.zeros(self._shape, self.scores.dtype))

    def result(self) -> Any:
        """Nothing yet."""
        return tf.constant(0.0)


class WeightAverage(Callback):  # type: ignore[misc]  # tf_keras is untyped
    """Averages all weights of `network`, the batch-norm statistics among them.

    `decay` is that of one step. The average is that of `state` and goes on with it, none at the
    start. Early updates weigh more, so that the weights the training began with are soon forgotten.
    """

    def __init__(self, network: Any, state: TrainingState, *, decay: float) -> None:
        super().__init__()
        self._network, self._state, self._decay = network, state, decay

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Go on with the steps that the optimizer has taken."""
        if self._decay:
            self.update(steps=int(self.model.optimizer.iterations.numpy()))

    def update(self, *, steps: int) -> None:
        """Bring the average up to date where it is time, after `steps` steps of the optimizer."""
        if steps % UPDATE_INTERVAL:
            return
        updates = steps // UPDATE_INTERVAL
        kept = min(self._decay**UPDATE_INTERVAL, updates / (updates + UPDATE_INTERVAL))
        present = arrays_of(self._network)
        if average := self._state.average_arrays:
            present = {name: kept * average[name] + (1 - kept) * present[name] for name in present}
        self._state.average_arrays = present

    def settle(self) -> None:
        """Give the network the average for good."""
        if self._state.average_arrays:
            assign_arrays(self._network, self._state.average_arrays, source=None)

    @contextmanager
    def in_network(self) -> Iterator[None]:
        """Let the network be the average, and what it was afterwards."""
        present = arrays_of(self._network) if self._state.average_arrays else None
        self.settle()
        try:
            yield
        finally:
            if present is not None:
                assign_arrays(self._network, present, source=None)


class BestWeights(tf_keras.callbacks.EarlyStopping):  # type: ignore[misc]  # tf_keras is untyped
    """Keras' early stopping, which goes on with what an earlier process knew of the best weights.

    It forgets that when a training begins. In the end the best weights are put back. Without
    `patience` all epochs run and the last weights stay.
    """

    def __init__(self, state: TrainingState, *, patience: int | None) -> None:
        super().__init__(BADNESS, mode="min", patience=patience or 0, restore_best_weights=True)
        self._state, self._is_patient = state, patience is not None

    def on_train_begin(self, logs: Any = None) -> None:
        """Take up what the state tells."""
        super().on_train_begin(logs)
        if self._is_patient and self._state.best_loss is not None:
            self.best, self.wait = self._state.best_loss, self._state.epochs_since_best
            # By name: a checkpoint has them in the order of the alphabet.
            self.best_weights = [self._state.best_arrays[name] for name in arrays_of(self.model)]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Tell the state."""
        if self._is_patient:
            super().on_epoch_end(epoch, logs)
            self._state.best_loss, self._state.epochs_since_best = self.best, self.wait
            names = arrays_of(self.model)
            self._state.best_arrays = dict(zip(names, self.best_weights, strict=True))


class StageEpochs(BestWeights):
    """The epochs of a stage: exact metrics, the best weights, the state brought up to date.

    `average` is what validation sees. The metrics become Keras' logs and a row of the history; the
    weights are the better, the less of `BADNESS` they have. `on_epoch` is called at the end.
    """

    def __init__(
        self,
        trainee: Trainee,
        state: TrainingState,
        *,
        scores: EpochScores,
        average: WeightAverage,
        devices: Devices,
        on_epoch: Callable[[], None],
        reporter: Reporter,
    ) -> None:
        super().__init__(state, patience=trainee.stage.patience)
        self._trainee, self._scores, self._average = trainee, scores, average
        self._devices, self._on_epoch, self._reporter = devices, on_epoch, reporter
        self._forward = compile_forward(trainee.model)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Begin dropout anew, so that an epoch can be repeated exactly, and show an empty bar."""
        self._start = time.perf_counter()
        trainee, steps = self._trainee, self.params["steps"]
        reset_dropout(trainee.network, seeds=[trainee.seed, self._state.stage, epoch])
        label = f"{trainee.stage.name} {epoch + 1}/{trainee.stage.epochs}"
        self._steps = self._reporter.track(range(steps), label=label, total=steps)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Go on to the step number `batch`; several are made at once."""
        for done in self._steps:
            if done >= batch:
                break

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Replace Keras' logs, which hold a mean of the batches' losses; rank, keep and report."""
        state, stage = self._state, self._trainee.stage
        told, badness = self._measure(epoch)
        logs.clear()
        logs.update({**told, BADNESS: badness})
        step, steps = int(self.model.optimizer.iterations.numpy()), self.params["steps"]
        rate = stage.rate_at(step=step, steps_per_epoch=steps)
        seconds = round(time.perf_counter() - self._start, 3)
        row: HistoryRow = {"stage": stage.name, "epoch": epoch + 1, **told}
        state.history.append({**row, "learning_rate": rate, "seconds": seconds})
        super().on_epoch_end(epoch, logs)
        state.epoch = epoch + 1
        variables = enumerate(self.model.optimizer.variables)
        state.optimizer_arrays = {str(number): variable.numpy() for number, variable in variables}
        self._on_epoch()
        for _ in self._steps:
            pass
        self._reporter.say(describe_epoch(state.history[-1], epochs=stage.epochs))

    def validate(self) -> Scores:
        """Scores of the validation side by the weights that would be kept."""
        with self._average.in_network():
            return score(self._forward, self._trainee.validation, self._devices)

    def _measure(self, epoch: int) -> tuple[dict[str, float], float]:
        """The metrics of both sides, and the badness of the weights."""
        trainee = self._trainee
        trained = self._scores.scores.numpy().astype(np.float64)
        order = trainee.order(self._state.stage, epoch)[: len(trained)]
        told = summarise(trained, trainee.train.labels[order], threshold=trainee.threshold)
        after = self.validate()
        validated = summarise(after, trainee.validation.labels, threshold=trainee.threshold)
        told |= {f"val_{name}": value for name, value in validated.items()}
        within = auc_within(after, trainee.validation.labels, trainee.sources)
        if len(within) > 1:
            told["val_macro_auc"] = float(np.mean(list(within.values())))
        return told, trainee.rank(after) if trainee.rank else told["val_loss"]


def describe_epoch(row: HistoryRow, *, epochs: int) -> str:
    """One line for a person."""
    within = f" ({row['val_macro_auc']:.4f} within sources)" if "val_macro_auc" in row else ""
    return (
        f"{row['stage']} {row['epoch']}/{epochs}: validation recall {row['val_recall']:.3f}, "
        f"accuracy {row['val_accuracy']:.3f}, AUC {row['val_auc']:.4f}{within}, "
        f"loss {row['val_loss']:.4f} (training {row['loss']:.4f}), {row['seconds']:.1f} s"
    )


def score(forward: Callable[..., Any], source: BatchSource, devices: Devices = ALONE) -> Scores:
    """P(malignant), shape (n,), of all images of a source, in their order.

    Each process scores its share of them, so that all of them know the very same scores.
    """
    rows = len(source.labels)
    own = np.array_split(np.arange(rows), devices.workers)[devices.index]
    batches = source.batches(own, batch_size=EVALUATION_BATCH_SIZE, epoch=0)
    whole = np.zeros(rows, dtype=np.float64)
    if len(own):
        whole[own] = np.concatenate([forward(inputs)[:, 0] for inputs in batches])
    return devices.sum(whole)


def summarise(scores: Scores, labels: NDArray[Any], *, threshold: float) -> dict[str, float]:
    """Loss (mean binary cross-entropy in nats), accuracy, recall and AUC of an epoch, exact."""
    called, malignant = scores >= threshold, labels > 0.5
    clipped = np.clip(scores, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    losses = -np.where(malignant, np.log(clipped), np.log1p(-clipped))
    return {
        "loss": float(losses.mean()),
        "accuracy": float((called == malignant).mean()),
        "recall": float(called[malignant].mean()),
        "auc": area_under_roc(scores, malignant),
    }
