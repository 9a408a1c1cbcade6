"""Rounded weights keep every channel's mean: on a network of a few weights and on a trained one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_network import round_to_int8, round_to_nearest

from edge_melanoma.data.images import read_image, scale_pixels
from edge_melanoma.runs.models import TrainedModel

Float32 = NDArray[np.float32]


@pytest.fixture(scope="module")
def network(trained_run: TrainedModel) -> Any:
    from edge_melanoma.network.network import load_network

    return load_network(trained_run)


@pytest.fixture(scope="module")
def images(phantoms: Path) -> Float32:
    paths = sorted(phantoms.rglob("phantom_*"))
    return scale_pixels(np.stack([read_image(path) for path in [*paths[:4], *paths[-4:]]]))


def small_network(*, normed: bool = True) -> Any:
    """Linear up to the pooling, all kernels 1x1: a mean passes through it as a value does."""
    from edge_melanoma.machine.tensorflow import tf_keras

    tf_keras.utils.set_random_seed(0)
    layers = tf_keras.layers
    image = tf_keras.Input((5, 5, 2), name="image")
    value = layers.Conv2D(6, 1, use_bias=False, name="first")(image)
    value = (layers.BatchNormalization() if normed else layers.Activation("linear"))(value)
    value = layers.DepthwiseConv2D(1, use_bias=False, name="depthwise")(value)
    value = layers.BatchNormalization(epsilon=0.1, name="norm")(value)
    value = layers.GlobalAveragePooling2D(name="gap")(value)
    value = layers.Dense(4, activation="relu", name="hidden")(value)
    value = layers.Dropout(0.3, name="dropout")(value)
    model = tf_keras.Model(image, layers.Dense(1, activation="sigmoid", name="p_malignant")(value))
    random = np.random.default_rng(1)
    # 0.5 .. 2 keeps variances positive and every factor near 1.
    model.set_weights([random.uniform(0.5, 2, w.shape) for w in model.get_weights()])
    return model


def small_inputs() -> Float32:
    return np.random.default_rng(2).random((8, 5, 5, 2), dtype=np.float32)


def pooled(network: Any, inputs: Float32) -> Float32:
    """Features (n, channels) before the head."""
    from edge_melanoma.network.network import compile_forward, prefix_of

    return compile_forward(prefix_of(network, cut="gap"))(inputs)


def mean_features(network: Any, inputs: Float32) -> NDArray[np.float64]:
    features = pooled(network, inputs)
    return np.asarray(features.mean(axis=0, dtype=np.float64))


def rounded_only(network: Any) -> Any:
    """Folded and rounded to int8 as the converter does it, biases left alone."""
    from edge_melanoma.converters.networks.rewriting import fold_batch_norm
    from edge_melanoma.machine.tensorflow import tf_keras

    folded, layers = fold_batch_norm(network), tf_keras.layers
    for layer in folded.layers:
        if weights := layer.get_weights():
            kernel, bias = weights
            axis = 2 if isinstance(layer, layers.DepthwiseConv2D) else kernel.ndim - 1
            layer.set_weights([round_to_int8(kernel, axis), bias])
    return folded


def test_a_network_without_batch_norm_gives_the_same_outputs(network: Any, images: Float32) -> None:
    from edge_melanoma.converters.networks.rewriting import fold_batch_norm

    expected, folded = pooled(network, images), pooled(fold_batch_norm(network), images)
    # Two networks of 52 layers of up to 1,000 terms: 2 * 52 * sqrt(1000) * 2^-24 of the largest.
    np.testing.assert_allclose(folded, expected, rtol=0, atol=2e-4 * expected.max())


def test_a_folded_network_has_a_kernel_and_a_bias_a_layer_and_no_more(network: Any) -> None:
    from edge_melanoma.converters.networks.rewriting import fold_batch_norm

    counts = [len(layer.get_weights()) for layer in fold_batch_norm(network).layers]
    # 35 convolutions, 17 depthwise ones and 2 dense layers; all others have no weights.
    assert (counts.count(2), counts.count(0)) == (54, len(counts) - 54)


def test_folding_is_scale_and_shift_by_hand() -> None:
    from edge_melanoma.converters.networks.rewriting import fold_batch_norm

    network = small_network()
    gamma, beta, mean, variance = network.get_layer("norm").get_weights()
    kernel = network.get_layer("depthwise").get_weights()[0]
    folded, bias = fold_batch_norm(network).get_layer("depthwise").get_weights()
    factor = gamma / np.sqrt(variance + 0.1)
    # Five roundings by 2^-24: a sum, a root, a quotient and a product here, the result there.
    np.testing.assert_allclose(folded[0, 0, :, 0], kernel[0, 0, :, 0] * factor, rtol=5 * 2**-24)
    # Six roundings of numbers below 8: a product and a difference in place of the product.
    np.testing.assert_allclose(bias, beta - mean * factor, rtol=0, atol=6 * 8 * 2**-24)


def test_a_convolution_without_batch_norm_is_refused() -> None:
    from edge_melanoma.converters.networks.rewriting import fold_batch_norm

    network = small_network(normed=False)
    with pytest.raises(ValueError, match="batch-norm") as caught:
        fold_batch_norm(network)
    assert str(caught.value) == (
        f"first is followed by {network.layers[2].name}, expected a batch-norm layer"
    )


def test_float16_rounding_is_to_the_nearest_half() -> None:
    from edge_melanoma.converters.networks.bias_correction import round_to_float16
    from edge_melanoma.machine.tensorflow import tf_keras

    layers = tf_keras.layers
    dense = layers.Dense(4)
    dense.build((None, 1))
    dense.set_weights([np.array([[1, 1 + 2**-11, 1 + 3 * 2**-11, 1 / 3]]), np.zeros(4)])
    (rounded,) = round_to_float16(dense, None)
    assert rounded.dtype == np.float32
    assert rounded.tolist() == [1.0, 1.0, 1 + 2 * 2**-10, 1365 / 4096]


def test_rounded_linear_layers_keep_the_mean_of_every_channel() -> None:
    from edge_melanoma.converters.networks.bias_correction import correct_biases

    network, inputs = small_network(), small_inputs()
    expected = mean_features(network, inputs)
    corrected = correct_biases(network, inputs, rounding=round_to_nearest)
    # 32 roundings of values below 16: products and sums in two layers, a sum over 25 places.
    tolerance = 32 * 16 * 2**-24
    assert np.abs(mean_features(corrected, inputs) - expected).max() <= tolerance
    assert np.abs(mean_features(rounded_only(network), inputs) - expected).max() > 10 * tolerance


def test_corrected_kernels_lie_on_the_grid_and_the_network_is_left_as_it_was() -> None:
    from edge_melanoma.converters.networks.bias_correction import correct_biases

    network = small_network()
    before, plain = network.get_weights(), rounded_only(network)
    corrected = correct_biases(network, small_inputs(), rounding=round_to_nearest)
    for name in ("first", "depthwise", "hidden", "p_malignant"):
        kernel, _ = corrected.get_layer(name).get_weights()
        np.testing.assert_array_equal(kernel, plain.get_layer(name).get_weights()[0])
    for array, other in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, other)


@pytest.mark.parametrize("batches", [1, 2])
def test_ranges_are_the_means_of_the_batches_and_hold_zero(batches: int) -> None:
    from edge_melanoma.converters.networks.bias_correction import measure_ranges

    network, inputs = small_network(), small_inputs()
    parts = np.split(inputs, batches)
    ranges = measure_ranges(network, parts)
    ends = [(pooled(network, part).min(), pooled(network, part).max()) for part in parts]
    lowest, highest = np.mean(ends, axis=0)
    assert set(ranges) == {"gap", "hidden"}
    # Sums over 25 places in another order: some ten roundings of values below 8.
    np.testing.assert_allclose(ranges["gap"], (min(0, lowest), highest), rtol=0, atol=80 * 2**-24)


def test_what_rounded_activations_lose_is_made_up_for_in_the_score() -> None:
    from edge_melanoma.converters.networks.bias_correction import (
        correct_biases,
        measure_ranges,
    )

    network, inputs = small_network(), small_inputs()
    ranges = measure_ranges(network, [inputs])
    # A range of 64 where 1 would do: each step of activations is 1/4, as coarse as their signal.
    coarse = {name: (0.0, 64.0) for name in ranges}
    weights_only = correct_biases(network, inputs, rounding=round_to_nearest)
    both = correct_biases(network, inputs, rounding=round_to_nearest, ranges=coarse)
    before, after = weights_only.get_layer("p_malignant"), both.get_layer("p_malignant")
    np.testing.assert_array_equal(before.get_weights()[0], after.get_weights()[0])
    assert abs(before.get_weights()[1] - after.get_weights()[1]) > 1e-3


def test_correction_brings_a_trained_network_nearer_than_plain_rounding(
    network: Any, images: Float32
) -> None:
    from edge_melanoma.converters.networks.bias_correction import correct_biases

    expected = mean_features(network, images)
    corrected = correct_biases(network, images, rounding=round_to_nearest)
    near = np.abs(mean_features(corrected, images) - expected)
    far = np.abs(mean_features(rounded_only(network), images) - expected)
    assert near.mean() < far.mean()
