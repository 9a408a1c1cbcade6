"""Kernels on the int8 grid: the nearest ones, and those whose layer's output loses least."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_network import round_to_int8, round_to_nearest

Float64 = NDArray[np.float64]


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
    from edge_melanoma.converters.networks.learned_rounding import round_kernel

    layer, inputs = make_layer(kind)
    near = round_to_nearest(layer, inputs)
    learned = round_kernel(layer, inputs)
    assert lost_output(layer, inputs, learned) < 0.7 * lost_output(layer, inputs, near)


@pytest.mark.parametrize("kind", ["pointwise", "square", "depthwise", "dense"])
def test_a_learned_kernel_is_what_a_converter_would_round_it_to(kind: str) -> None:
    from edge_melanoma.converters.networks.learned_rounding import round_kernel
    from edge_melanoma.converters.networks.rewriting import output_axis

    layer, inputs = make_layer(kind)
    learned = round_kernel(layer, inputs)
    again = round_to_int8(learned, output_axis(layer))
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
    assert min(losses) * (1 - 1e-9) <= found <= loss(step * np.round(weights / step))
    assert found <= sorted(losses)[len(losses) // 8]
