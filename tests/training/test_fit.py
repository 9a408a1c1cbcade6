"""Keras' own `fit` takes the steps of a plain loop, bit for bit, and tells what went wrong."""

from collections.abc import Iterator
from dataclasses import replace
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
            rate = stage.rate_at(step=done, steps_per_epoch=steps_per_epoch)
            optimizer.learning_rate.assign(rate)
            labels = rows.labels[order[start : start + BATCH]]
            wanted = labels * (1 - 2 * smoothing) + smoothing
            step(tf.constant(inputs), tf.constant(wanted[:, None]))


@pytest.mark.parametrize(
    "unfrozen",
    [
        pytest.param(0, id="head"),
        pytest.param(30, id="last 30 layers", marks=pytest.mark.thorough),
    ],
)
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


def naming_suffix() -> tuple[Any, Any]:
    """A network that names diagnoses, and its head."""
    from edge_melanoma.network.network import build_network, freeze_backbone, suffix_of

    network = build_network(VARIANTS[Variant.BEST], seed=SEED, names_diagnoses=True)
    freeze_backbone(network, unfrozen_layers=0)
    return network, suffix_of(network, cut="gap")


def fit_naming(
    diagnoses: Any, *, diagnosis_loss: float = 0.5, rows: Rows | None = None, **told: Any
) -> tuple[dict[str, Any], dict[str, Any], list[Any]]:
    """The weights before and after training the head, and the history."""
    from edge_melanoma.network.network import arrays_of
    from edge_melanoma.training.checkpoints import TrainingState
    from edge_melanoma.training.fit import fit_stage
    from edge_melanoma.training.trainee import Trainee

    network, model = naming_suffix()
    rows = rows or Rows((1280,))
    before, state = arrays_of(network), TrainingState(settings="")
    trainee = Trainee(
        network=network,
        model=model,
        stage=stage_of(0),
        train=rows,
        validation=rows,
        batch_size=BATCH,
        seed=SEED,
        diagnoses=np.array(diagnoses, dtype=np.float32),
        diagnosis_loss=diagnosis_loss,
        **told,
    )
    fit_stage(trainee, state=state, on_epoch=lambda: None, reporter=SilentReporter())
    return before, arrays_of(network), state.history


NAMING = ("diagnosis/kernel", "diagnosis/bias")


def test_pictures_without_a_diagnosis_teach_none() -> None:
    before, after, _ = fit_naming([-1] * ROWS)
    for name in NAMING:
        np.testing.assert_array_equal(after[name], before[name])
    assert not np.array_equal(after["p_malignant/kernel"], before["p_malignant/kernel"])


def test_what_is_masked_has_no_part_in_the_slope() -> None:
    """The inputs of masked rows are of features that the others do not have."""
    rows = Rows((1280,))
    is_named = np.arange(ROWS) % 2 == 0
    rows.inputs[np.ix_(is_named, np.arange(1280) >= 640)] = 0
    rows.inputs[np.ix_(~is_named, np.arange(1280) < 640)] = 0
    before, after, _ = fit_naming(np.where(is_named, 2, -1), rows=rows)
    moved = (after["diagnosis/kernel"] != before["diagnosis/kernel"]).any(axis=1)
    assert moved[:640].all()
    assert not moved[640:].any()
    assert (after["hidden/kernel"] != before["hidden/kernel"])[640:].any()


def entropy_of(arrays: dict[str, Any], rows: Rows, classes: Any) -> float:
    """Of the diagnoses that a head names, on average."""
    logits = rows.inputs @ arrays["diagnosis/kernel"] + arrays["diagnosis/bias"]
    return float(np.mean(np.logaddexp.reduce(logits, axis=1) - logits[np.arange(ROWS), classes]))


def test_named_diagnoses_are_learned_and_the_score_as_if_they_were_not() -> None:
    classes = np.arange(ROWS) % 3
    rows = Rows((1280,))
    rows.inputs[np.arange(ROWS), classes] = 30
    rows.inputs[:, :3] -= 10
    before, after, history = fit_naming(classes, rows=rows)
    assert entropy_of(after, rows, classes) < 0.9 * entropy_of(before, rows, classes)
    _, apart, plain_history = fit_naming(np.full(ROWS, -1), rows=rows)
    # The head of the diagnoses stands beside that of the score: what is frozen is all they share.
    np.testing.assert_allclose(after["hidden/kernel"], apart["hidden/kernel"], atol=1e-5)
    for row, other in zip(history, plain_history, strict=True):
        assert row["loss"] == pytest.approx(other["loss"], rel=1e-4)


def test_the_loss_is_that_of_the_score_and_a_part_of_the_diagnosis() -> None:
    from edge_melanoma.machine.tensorflow import tf_keras
    from edge_melanoma.training.checkpoints import TrainingState
    from edge_melanoma.training.fit import fit_stage
    from edge_melanoma.training.trainee import Trainee

    losses = []
    note = tf_keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: losses.append(logs["loss"])
    )
    network, model = naming_suffix()
    rows, codes = Rows((1280,)), np.array([number % 7 - 1 for number in range(ROWS)])
    outputs = model(rows.inputs, training=False).numpy().astype(np.float64)
    score, logits = outputs[:, 0], outputs[:, 1:]
    wanted = rows.labels * 0.9 + 0.05
    binary = -wanted * np.log(score) - (1 - wanted) * np.log(1 - score)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    named = np.where(codes >= 0, -np.log(chances[np.arange(ROWS), codes]), 0.0)
    network.get_layer("dropout").rate = 0.0
    still = replace(stage_of(0), learning_rate=0.0, final_learning_rate=0.0, epochs=1)
    fit_stage(
        Trainee(
            network=network,
            model=model,
            stage=still,
            train=rows,
            validation=rows,
            batch_size=ROWS,
            seed=SEED,
            diagnoses=codes.astype(np.float32),
            diagnosis_loss=0.5,
        ),
        state=TrainingState(settings=""),
        on_epoch=lambda: None,
        reporter=SilentReporter(),
        callbacks=(note,),
    )
    assert losses == pytest.approx([(binary + 0.5 * named).mean()], rel=1e-4)


def test_the_history_has_the_mean_auc_within_sources_where_there_are_several() -> None:
    from sklearn.metrics import roc_auc_score

    from edge_melanoma.training.callbacks import describe_epoch

    rows, seen = Rows((1280,)), []

    def rank(scores: Any) -> float:
        seen.append(scores)
        return float(-len(seen))

    sources = ("only one", *("ab"[number % 2] for number in range(1, ROWS)))
    _, _, history = fit_naming([-1] * ROWS, sources=sources, rank=rank)
    for row, scores in zip(history, seen[-EPOCHS:], strict=True):
        inside = [np.array([source == name for source in sources]) for name in "ab"]
        aucs = [roc_auc_score(rows.labels[here], scores[here]) for here in inside]
        assert row["val_macro_auc"] == pytest.approx(np.mean(aucs))
        line = describe_epoch(row, epochs=EPOCHS)
        assert f"({row['val_macro_auc']:.4f} within sources)" in line
    _, _, history = fit_naming([-1] * ROWS, sources=("a",) * ROWS)
    assert all("val_macro_auc" not in row for row in history)
    assert "within sources" not in describe_epoch(history[0], epochs=EPOCHS)
