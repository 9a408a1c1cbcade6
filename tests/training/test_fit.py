"""Keras' own `fit` takes the steps of a plain loop, bit for bit, and tells what went wrong."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.network.recipes import VARIANTS, Stage, Variant

ROWS, BATCH, EPOCHS, SEED, NUMBER = 37, 8, 2, 4, 1


@pytest.fixture
def deterministic() -> Iterator[None]:
    """Deterministic operators: the others may add in another order on a busy machine."""
    from tensorflow.python.framework import config

    from edge_melanoma.machine.tensorflow import make_deterministic

    make_deterministic(SEED)
    yield
    config.disable_op_determinism()


class Rows:
    """Rows of noise in memory."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        random = np.random.default_rng(0)
        self.inputs = random.normal(size=(ROWS, *shape)).astype(np.float32)
        self.labels = random.integers(0, 2, ROWS).astype(np.float32)

    def batches(self, order: Any, *, batch_size: int, epoch: int) -> Any:
        for start in range(0, len(order), batch_size):
            positions = order[start : start + batch_size]
            yield self.inputs[positions]


def stage_of(unfrozen: int) -> Stage:
    return Stage(
        name="s",
        unfrozen_backbone_layers=unfrozen,
        learning_rate=1e-3,
        final_learning_rate=1e-5,
        warmup_steps=3,
        epochs=EPOCHS,
        label_smoothing=0.05,
    )


def make_suffix(unfrozen: int) -> tuple[Any, Any]:
    """A network and the part of it that trains."""
    from edge_melanoma.network.network import (
        build_network,
        cut_layer,
        freeze_backbone,
        suffix_of,
    )

    network = build_network(VARIANTS[Variant.FROZEN], seed=SEED)
    freeze_backbone(network, unfrozen_layers=unfrozen)
    cut = cut_layer(network, unfrozen_layers=unfrozen)
    assert cut is not None
    return network, suffix_of(network, cut=cut)


def train_plainly(network: Any, model: Any, rows: Rows, stage: Stage) -> None:
    """The loop that everybody would write."""
    from edge_melanoma.machine.tensorflow import tf, tf_keras
    from edge_melanoma.network.network import reset_dropout
    from edge_melanoma.training.callbacks import learning_rate_at

    optimizer = tf_keras.optimizers.Adam()
    steps_per_epoch = -(-ROWS // BATCH)
    smoothing = np.float32(stage.label_smoothing)

    signature = [tf.TensorSpec((None, *model.input_shape[1:])), tf.TensorSpec((None, 1))]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]  # TensorFlow is untyped
    def step(inputs: Any, wanted: Any) -> None:
        with tf.GradientTape() as tape:
            scores = model(inputs, training=True)
            loss = tf.reduce_mean(tf_keras.losses.binary_crossentropy(wanted, scores))
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    optimizer.build(model.trainable_variables)
    for epoch in range(EPOCHS):
        reset_dropout(network, seeds=[SEED, NUMBER, epoch])
        order = np.random.default_rng([SEED, NUMBER, epoch]).permutation(ROWS)
        batches = rows.batches(order, batch_size=BATCH, epoch=epoch)
        for start, inputs in zip(range(0, ROWS, BATCH), batches, strict=True):
            done = int(optimizer.iterations.numpy())
            rate = learning_rate_at(stage, step=done, steps_per_epoch=steps_per_epoch)
            optimizer.learning_rate.assign(rate)
            labels = rows.labels[order[start : start + BATCH]]
            wanted = labels * (1 - 2 * smoothing) + smoothing
            step(tf.constant(inputs), tf.constant(wanted[:, None]))


@pytest.mark.parametrize("unfrozen", [0, 30], ids=["head", "last 30 layers"])
def test_fit_takes_the_steps_of_a_plain_loop(unfrozen: int, deterministic: None) -> None:
    from edge_melanoma.network.network import arrays_of
    from edge_melanoma.training.checkpoints import TrainingState
    from edge_melanoma.training.fit import fit_stage
    from edge_melanoma.training.trainee import Trainee

    stage = stage_of(unfrozen)
    network, model = make_suffix(unfrozen)
    rows = Rows(model.input_shape[1:])
    start = arrays_of(network)
    train_plainly(network, model, rows, stage)
    expected = arrays_of(network)
    network, model = make_suffix(unfrozen)
    fit_stage(
        Trainee(
            network=network,
            model=model,
            stage=stage,
            train=rows,
            validation=rows,
            batch_size=BATCH,
            seed=SEED,
        ),
        state=TrainingState(settings="", stage=NUMBER),
        on_epoch=lambda: None,
        reporter=SilentReporter(),
    )
    found = arrays_of(network)
    moved = [name for name in start if not np.array_equal(found[name], start[name])]
    assert len(moved) >= 4
    for name, array in found.items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def test_a_picture_that_cannot_be_read_is_told_as_it_was() -> None:
    from edge_melanoma.training.checkpoints import TrainingState
    from edge_melanoma.training.fit import fit_stage
    from edge_melanoma.training.trainee import Trainee

    class Broken(Rows):
        def batches(self, order: Any, *, batch_size: int, epoch: int) -> Any:
            yield from list(super().batches(order, batch_size=batch_size, epoch=epoch))[:2]
            raise EdgeMelanomaError("The image a.jpg is broken.")

    network, model = make_suffix(0)
    rows = Broken((1280,))
    with pytest.raises(EdgeMelanomaError, match=r"^The image a\.jpg is broken\.$"):
        fit_stage(
            Trainee(
                network=network,
                model=model,
                stage=stage_of(0),
                train=rows,
                validation=Rows((1280,)),
                batch_size=BATCH,
                seed=SEED,
            ),
            state=TrainingState(settings=""),
            on_epoch=lambda: None,
            reporter=SilentReporter(),
        )


def test_further_callbacks_see_the_metrics_of_the_history() -> None:
    from edge_melanoma.machine.tensorflow import tf_keras
    from edge_melanoma.training.checkpoints import TrainingState
    from edge_melanoma.training.fit import fit_stage
    from edge_melanoma.training.trainee import Trainee

    network, model = make_suffix(0)
    rows, state, seen = Rows((1280,)), TrainingState(settings=""), []
    note = tf_keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs))
    fit_stage(
        Trainee(
            network=network,
            model=model,
            stage=stage_of(0),
            train=rows,
            validation=rows,
            batch_size=BATCH,
            seed=SEED,
        ),
        state=state,
        on_epoch=lambda: None,
        reporter=SilentReporter(),
        callbacks=(note,),
    )
    assert [row["epoch"] for row in state.history] == [1, 2]
    for row, logs in zip(state.history, seen, strict=True):
        for name in ("loss", "accuracy", "recall", "auc", "val_loss", "val_auc"):
            assert logs[name] == row[name]
