"""Channels of more equal range: the scores stay, the ranges come nearer."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


def make_network(*, shared: bool = False) -> Any:
    """A stem, a bottleneck with a residual sum and a head, all channels of different range."""
    from edge_melanoma.machine.tensorflow import tf_keras

    layers = tf_keras.layers
    image = tf_keras.Input((8, 8, 3), name="image")
    value = layers.Conv2D(6, 3, padding="same", name="stem")(image)
    value = layers.ReLU(6.0, name="stem_relu")(value)
    value = layers.Conv2D(4, 1, name="project")(value)
    wide = layers.Conv2D(8, 1, name="expand")(value)
    wide = layers.ReLU(6.0, name="expand_relu")(wide)
    wide = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(wide)
    wide = layers.ReLU(6.0, name="depthwise_relu")(wide)
    narrow = layers.Conv2D(4, 1, name="narrow")(wide)
    value = layers.Add(name="add")([value, narrow])
    if shared:
        value = layers.Multiply(name="squared")([value, value])
    value = layers.GlobalAveragePooling2D(name="gap")(value)
    value = layers.Dense(5, activation="relu", name="hidden")(value)
    score = layers.Dense(1, activation="sigmoid", name="p_malignant")(value)
    network = tf_keras.Model(image, score)
    random = np.random.default_rng(1)
    network.set_weights([random.normal(size=w.shape) * 0.5 for w in network.get_weights()])
    for name in ("stem", "project", "narrow", "expand", "depthwise"):
        layer = network.get_layer(name)
        kernel, bias = layer.get_weights()
        widths = np.geomspace(0.05, 2, len(bias))
        shape = (1, 1, -1, 1) if name == "depthwise" else (1, 1, 1, -1)
        layer.set_weights([kernel * widths.reshape(shape), bias * widths])
    return network


@pytest.fixture(scope="module")
def images() -> Float32:
    return np.random.default_rng(2).random((32, 8, 8, 3), dtype=np.float32)


def unevenness(network: Any, name: str, images: Float32) -> float:
    """The widest channel's range in those of the median channel."""
    from edge_melanoma.machine.tensorflow import tf_keras

    values = tf_keras.Model(network.input, network.get_layer(name).output)(images).numpy()
    reach = np.abs(values).reshape(-1, values.shape[-1]).max(axis=0)
    return float(reach.max() / np.median(reach))


def test_scores_stay_and_the_network_is_left_as_it_was(images: Float32) -> None:
    from edge_melanoma.converters.networks.equalization import equalize_channels

    network = make_network()
    before = network.get_weights()
    equal = equalize_channels(network, [images[:16], images[16:]])
    # Some 200 roundings to float32 of sums of some tens of terms.
    np.testing.assert_allclose(equal(images), network(images), rtol=0, atol=1e-5)
    assert np.ptp(network(images)) > 1e-2
    for array, other in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, other)


@pytest.mark.parametrize("name", ["stem_relu", "project", "add", "expand_relu", "depthwise_relu"])
def test_ranges_of_channels_come_nearer(images: Float32, name: str) -> None:
    from edge_melanoma.converters.networks.equalization import equalize_channels

    network = make_network()
    equal = equalize_channels(network, [images])
    assert unevenness(equal, name, images) < unevenness(network, name, images)


def test_channels_that_are_multiplied_by_each_other_stay_as_they_are(images: Float32) -> None:
    from edge_melanoma.converters.networks.equalization import equalize_channels

    network = make_network(shared=True)
    equal = equalize_channels(network, [images])
    np.testing.assert_allclose(equal(images), network(images), rtol=0, atol=1e-5)
    same = [
        np.array_equal(*(model.get_layer(name).get_weights()[0] for model in (network, equal)))
        for name in ("hidden", "depthwise")
    ]
    assert same == [False, False]
    narrow = [model.get_layer("narrow").get_weights()[1] for model in (network, equal)]
    np.testing.assert_array_equal(*narrow)


def test_a_network_s_output_is_never_scaled(images: Float32) -> None:
    from edge_melanoma.converters.networks.equalization import equalize_channels
    from edge_melanoma.machine.tensorflow import tf_keras

    network = make_network()
    two = tf_keras.Model(network.input, [network.output, network.get_layer("expand_relu").output])
    equal = equalize_channels(two, [images])
    for before, after in zip(two(images), equal(images), strict=True):
        np.testing.assert_allclose(after, before, rtol=0, atol=1e-5)


def test_what_a_spared_layer_makes_stays_as_it_is(images: Float32) -> None:
    from edge_melanoma.converters.networks.equalization import equalize_channels
    from edge_melanoma.machine.tensorflow import tf_keras

    network = make_network()
    equal = equalize_channels(network, [images], spared=["expand"])
    before, after = (
        tf_keras.Model(model.input, model.get_layer("expand_relu").output)(images)
        for model in (network, equal)
    )
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-5)
    assert unevenness(equal, "add", images) < unevenness(network, "add", images)
