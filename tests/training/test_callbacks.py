"""Between the epochs: learning rates, averages, patience that goes on where it stopped."""

from pathlib import Path

import numpy as np
import pytest

from edge_melanoma.network.recipes import Stage

PLAIN = Stage(name="s", unfrozen_backbone_layers=0, learning_rate=1.0, epochs=10)
COSINE = Stage(
    name="s",
    unfrozen_backbone_layers=0,
    learning_rate=1.0,
    final_learning_rate=0.2,
    warmup_steps=4,
    epochs=10,
)


def test_a_plain_stage_keeps_its_rate() -> None:
    assert {PLAIN.rate_at(step=step, steps_per_epoch=5) for step in range(60)} == {1.0}


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0.25), (25, 0.6), (50, 0.2), (60, 0.2)],
    ids=["first of the warm-up", "half way", "the end", "after it"],
)
def test_warm_up_and_cosine(step: int, rate: float) -> None:
    assert COSINE.rate_at(step=step, steps_per_epoch=5) == pytest.approx(rate, rel=0.01)


def test_the_average_lies_between_the_weights_it_has_seen() -> None:
    from edge_melanoma.machine.tensorflow import tf_keras
    from edge_melanoma.network.network import arrays_of
    from edge_melanoma.training.callbacks import UPDATE_INTERVAL, WeightAverage
    from edge_melanoma.training.checkpoints import TrainingState

    layer = tf_keras.layers.Dense(1, use_bias=False, name="d")
    network = tf_keras.Sequential([layer])
    network.build((None, 1))
    average = WeightAverage(network, TrainingState(settings=""), decay=0.99)
    for earlier, value in ((0, 1.0), (UPDATE_INTERVAL, 3.0)):
        layer.kernel.assign([[value]])
        for step in range(UPDATE_INTERVAL):
            average.update(steps=earlier + step + 1)
    with average.in_network():
        (seen,) = arrays_of(network).values()
    assert 1.0 < float(seen[0, 0]) < 3.0
    (after,) = arrays_of(network).values()
    assert float(after[0, 0]) == 3.0
    average.settle()
    (settled,) = arrays_of(network).values()
    assert float(settled[0, 0]) == float(seen[0, 0])


def test_patience_goes_on_with_what_the_state_knows() -> None:
    from edge_melanoma.machine.tensorflow import tf_keras
    from edge_melanoma.training.callbacks import BADNESS, BestWeights
    from edge_melanoma.training.checkpoints import TrainingState

    network = tf_keras.Sequential([tf_keras.layers.Dense(1, use_bias=False, name="d")])
    network.build((None, 1))
    state = TrainingState(settings="")

    def run(epochs: dict[int, float]) -> None:
        best = BestWeights(state, patience=2)
        best.set_model(network)
        network.stop_training = False
        best.on_train_begin()
        for epoch, badness in epochs.items():
            network.layers[0].kernel.assign([[badness]])
            best.on_epoch_end(epoch, {BADNESS: badness})
        best.on_train_end()

    run({0: 3.0, 1: 1.0})
    assert (state.best_loss, state.epochs_since_best) == (1.0, 0)
    run({2: 2.0})
    assert not network.stop_training
    run({3: 1.5})
    assert network.stop_training
    assert (state.best_loss, state.epochs_since_best) == (1.0, 2)
    assert float(network.get_weights()[0][0, 0]) == 1.0


def test_the_best_weights_of_a_checkpoint_are_put_back_by_name(tmp_path: Path) -> None:
    from edge_melanoma.machine.tensorflow import tf_keras
    from edge_melanoma.network.network import arrays_of
    from edge_melanoma.training.callbacks import BestWeights
    from edge_melanoma.training.checkpoints import TrainingState, load_checkpoint, save_checkpoint

    names = ("z", "a")
    network = tf_keras.Sequential([tf_keras.layers.Dense(1, name=name) for name in names])
    network.build((None, 1))
    best = {
        name: np.full_like(array, i) for i, (name, array) in enumerate(arrays_of(network).items())
    }
    state = TrainingState(settings="", best_loss=1.0, best_arrays=best)
    save_checkpoint(tmp_path, state, network)
    callback = BestWeights(load_checkpoint(tmp_path, settings="", network=network), patience=2)
    callback.set_model(network)
    callback.on_train_begin()
    callback.on_train_end()
    for name, array in arrays_of(network).items():
        np.testing.assert_array_equal(array, best[name], err_msg=name)
