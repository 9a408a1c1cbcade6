"""Kernels on the int8 grid: the nearest ones, and those whose layer's output loses least."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


def test_int8_rounding_is_to_the_nearest_step_of_the_channel_s_own_grid() -> None:
    from edge_melanoma.converters.networks.learned_rounding import round_to_int8

    # Channel 0 has steps of 1, channel 1 of 2, channel 2 is nothing at all.
    kernel = np.array([[127, -254, 0], [63.4, 2.9, 0], [-1.6, 3.1, 0]], np.float32)
    assert round_to_int8(kernel, 1).tolist() == [[127, -254, 0], [63, 2, 0], [-2, 4, 0]]
    assert round_to_int8(kernel.T.reshape(1, 3, 3), 1).tolist() == [
        [[127, 63, -2], [-254, 2, 4], [0, 0, 0]]
    ]


@pytest.mark.parametrize("axis", [2, 3])
def test_int8_rounding_leaves_255_values_a_channel_and_half_a_step_of_error(axis: int) -> None:
    from edge_melanoma.converters.networks.learned_rounding import round_to_int8

    kernel = np.random.default_rng(3).normal(size=(9, 9, 12, 12)).astype(np.float32)
    rounded = round_to_int8(kernel, axis)
    for number in range(kernel.shape[axis]):
        before, after = kernel.take(number, axis), rounded.take(number, axis)
        assert before.size > 255 >= len(np.unique(after))
        step = float(np.abs(before).max()) / 127
        # Half a step, and the float32 rounding of a value that is at most 127 steps.
        assert np.abs(after.astype(np.float64) - before).max() <= step * (0.5 + 127 * 2**-24)


def make_layer(kind: str) -> tuple[Any, Any]:
    """A layer with random weights and inputs whose channels rise and fall together."""
    from edge_melanoma.machine.tensorflow import tf, tf_keras

    layers, random = tf_keras.layers, np.random.default_rng(4)
    layer, channels = {
        "pointwise": (layers.Conv2D(6, 1), 8),
        "square": (layers.Conv2D(6, 3, padding="same"), 4),
        "depthwise": (layers.DepthwiseConv2D(3, padding="same"), 5),
        "dense": (layers.Dense(6), 8),
    }[kind]
    shape = (64, channels) if kind == "dense" else (6, 12, 12, channels)
    common = random.normal(size=(shape[0], *[1] * (len(shape) - 1)))
    inputs = tf.constant(3 + common + 0.1 * random.normal(size=shape), tf.float32)
    layer(inputs)
    layer.set_weights([random.normal(size=w.shape) for w in layer.get_weights()])
    return layer, inputs


def lost_output(layer: Any, inputs: Any, kernel: Any) -> float:
    """Variance of what the layer's output loses by another kernel; a bias takes up the mean."""
    kept, bias = layer.get_weights()
    before = layer(inputs).numpy()
    layer.set_weights([kernel, bias])
    lost = layer(inputs).numpy() - before
    layer.set_weights([kept, bias])
    return float(lost.reshape(-1, lost.shape[-1]).var(axis=0).sum())


@pytest.mark.parametrize("kind", ["pointwise", "square", "depthwise", "dense"])
def test_a_layer_s_output_loses_less_than_by_the_nearest_kernel(kind: str) -> None:
    from edge_melanoma.converters.networks import learned_rounding

    layer, inputs = make_layer(kind)
    near = learned_rounding.round_to_nearest(layer, inputs)
    learned = learned_rounding.round_kernel(layer, inputs)
    assert lost_output(layer, inputs, learned) < 0.7 * lost_output(layer, inputs, near)


@pytest.mark.parametrize("kind", ["pointwise", "square", "depthwise", "dense"])
def test_a_learned_kernel_is_what_a_converter_would_round_it_to(kind: str) -> None:
    from edge_melanoma.converters.networks import learned_rounding
    from edge_melanoma.converters.networks.rewriting import output_axis

    layer, inputs = make_layer(kind)
    learned = learned_rounding.round_kernel(layer, inputs)
    again = learned_rounding.round_to_int8(learned, output_axis(layer))
    # A product of an integer below 128 and a step, each rounded to float32 once more.
    np.testing.assert_allclose(again, learned, rtol=4 * 2**-24)
    axes = tuple(axis for axis in range(learned.ndim) if axis != output_axis(layer))
    kernel = layer.get_weights()[0]
    np.testing.assert_array_equal(np.abs(learned).max(axis=axes), np.abs(kernel).max(axis=axes))


def test_the_descent_ends_near_the_best_of_all_roundings() -> None:
    from edge_melanoma.converters.networks.learned_rounding import _descend

    random = np.random.default_rng(5)
    mixed = random.normal(size=(40, 5)) @ random.normal(size=(5, 5)) + 2 * random.normal(
        size=(40, 1)
    )
    form: Float64 = mixed.T @ mixed
    weights = random.normal(size=(5, 1))
    step = np.abs(weights).max() / 127

    def loss(kernel: Float64) -> float:
        error = kernel - weights
        return float((error.T @ form @ error).item())

    corners = product(*([np.floor(w), np.ceil(w)] for w in (weights / step)[:, 0]))
    losses = [loss(step * np.array(corner)[:, np.newaxis]) for corner in corners]
    found = loss(_descend(weights[np.newaxis], form[np.newaxis])[0])
    nearest = loss(step * np.round(weights / step))
    assert min(losses) * (1 - 1e-9) <= found <= nearest
    assert found <= sorted(losses)[len(losses) // 8]
