"""Channels that stay constant go and leave their share behind; all others stay."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Taker = Callable[[Any, Any], Any]  # From the module of layers and a tensor to what comes then.
WIDTH = 5  # Channels: red, green, red - 0.5 and two means of red and green that tests change.
ONE_OF_BOTH = {"expand": (1, 5), "depthwise": (1, 5)}


def pictures() -> Float32:
    """16 of noise in 0..1 (n, 6, 6, 2), its ends among them."""
    images = np.random.default_rng(0).random((16, 6, 6, 2), dtype=np.float32)
    images[0], images[1] = 0, 1
    return images


def head(layers: Any, value: Any) -> Any:
    value = layers.GlobalAveragePooling2D(name="gap")(value)
    value = layers.Dense(4, activation="relu", name="hidden")(value)
    return layers.Dense(1, activation="sigmoid", name="p_malignant")(value)


def make_network(taker: Taker = head) -> Any:
    """An inverted residual's three kernels and what follows, nothing of which is constant."""
    from edge_melanoma.machine.tensorflow import tf_keras

    tf_keras.utils.set_random_seed(0)
    layers = tf_keras.layers
    image = tf_keras.Input((6, 6, 2), name="image")
    value = layers.Conv2D(WIDTH, 1, name="expand")(image)
    value = layers.ReLU(6.0)(layers.Activation("linear", name="expand_BN")(value))
    value = layers.ReLU(6.0)(layers.DepthwiseConv2D(3, padding="same", name="depthwise")(value))
    value = layers.Conv2D(3, 1, name="project")(value)
    network = tf_keras.Model(image, taker(layers, value), name="small")
    expand = np.array([[1, 0, 1, 0.5, 0.5], [0, 1, 0, 0.5, 0.5]], np.float32)
    assign(network, "expand", expand.reshape(1, 1, 2, WIDTH), [0, 0, -0.5, 0, 0])
    assign(network, "depthwise", np.full((3, 3, WIDTH, 1), 0.1, np.float32), [0, 0, 0, 0.5, 0.5])
    if taker is head:
        # A bias of 1 lies above what kernels of 0.1 can take away.
        assign(network, "hidden", np.full((3, 4), 0.1, np.float32), np.ones(4))
    return network


def assign(network: Any, name: str, kernel: Float32, bias: Any) -> None:
    network.get_layer(name).set_weights([kernel, np.asarray(bias, np.float32)])


def set_channel(network: Any, name: str, channel: Any, *, bias: float, factor: float = 1) -> None:
    kernel, biases = network.get_layer(name).get_weights()
    (kernel[:, :, channel] if "depthwise" in name else kernel[..., channel])[...] *= factor
    biases[channel] = bias
    assign(network, name, kernel, biases)


def prune(network: Any, images: Float32 | None = None) -> tuple[Any, dict[str, tuple[int, int]]]:
    """The pruned network and (removed, of) by layer; two batches, the second one smaller."""
    from edge_melanoma.converters.networks.pruning import prune_dead_channels

    inputs = pictures() if images is None else images
    pruned, removed = prune_dead_channels(network, np.split(inputs, [len(inputs) * 2 // 3]))
    channels = {name: len(network.get_layer(name).get_weights()[1]) for name in removed}
    return pruned, {name: (number, channels[name]) for name, number in removed.items()}


def outputs(network: Any, name: str = "") -> Float32:
    from edge_melanoma.machine.tensorflow import tf_keras

    end = network.get_layer(name).output if name else network.output
    result: Float32 = tf_keras.Model(network.input, end)(pictures()).numpy()
    return result


def assert_same_outputs(pruned: Any, network: Any) -> None:
    # Sums of up to 45 terms below 6 in another order, five layers: the rest is a real difference.
    np.testing.assert_allclose(outputs(pruned), outputs(network), rtol=0, atol=1e-5)


def test_a_dead_channel_goes_with_its_depthwise_kernel_and_leaves_a_constant_behind() -> None:
    network = make_network()
    set_channel(network, "expand", 3, factor=1e-9, bias=-1)
    weights = network.get_weights()
    pruned, removed = prune(network)
    assert removed == ONE_OF_BOTH
    shapes = [array.shape for array in pruned.get_weights()[:6]]
    assert shapes == [(1, 1, 2, 4), (4,), (3, 3, 4, 1), (4,), (1, 1, 4, 3), (3,)]
    before, after = (n.get_layer("project").get_weights() for n in (network, pruned))
    np.testing.assert_array_equal(after[0], np.delete(before[0], 3, axis=2))
    # The depthwise output is its bias, 0.5, wherever its input is 0.
    np.testing.assert_allclose(after[1], before[1] + 0.5 * before[0][0, 0, 3], atol=2**-24)
    assert_same_outputs(pruned, network)
    names = [[(layer.name, type(layer)) for layer in n.layers] for n in (network, pruned)]
    assert (pruned.name, names[0]) == (network.name, names[1])
    assert all(map(np.array_equal, network.get_weights(), weights))


# A negative kernel; a bias beyond reach of the kernel; a constant; always above 6.
@pytest.mark.parametrize(("factor", "bias"), [(-1, 0), (1, -9), (0, 0.7), (1, 6.5)])
def test_a_depthwise_channel_goes_where_its_kernel_proves_it(factor: float, bias: float) -> None:
    network = make_network()
    set_channel(network, "depthwise", 4, factor=factor, bias=bias)
    pruned, removed = prune(network)
    assert removed == ONE_OF_BOTH
    assert_same_outputs(pruned, network)


def test_a_depthwise_channel_that_images_could_excite_stays_though_these_do_not() -> None:
    network = make_network()
    # At most 1.3 of the expand channel are expected, 0.9 times which may arrive: 0.3 above 0.
    set_channel(network, "depthwise", 4, bias=-1)
    assert outputs(network, "depthwise")[..., 4].max() <= 0
    assert prune(network)[1] == {}


@pytest.mark.parametrize(("gap", "removed"), [(0.25, {}), (0.35, ONE_OF_BOTH)])
def test_a_channel_has_to_lie_three_tenths_of_its_range_below_zero(
    gap: float, removed: Any
) -> None:
    network = make_network()
    # The channel's range is 1: it is the mean of red and green.
    set_channel(network, "expand", 3, bias=-1 - gap)
    assert prune(network)[1] == removed


@pytest.mark.parametrize("light", [1, -1])
def test_every_batch_counts_the_smaller_last_one_too(light: float) -> None:
    network, images = make_network(), pictures()[2:] * 0.5
    # Below -0.2 with a range of at most 0.5; one picture is above 0, or makes the range 1.5.
    set_channel(network, "expand", 3, bias=-0.7)
    assert prune(network, images)[1] == ONE_OF_BOTH
    assert prune(network, np.append(images, np.full_like(images[:1], light), axis=0))[1] == {}


def test_units_of_a_dense_layer_go_by_what_they_are_before_relu() -> None:
    network = make_network()
    set_channel(network, "hidden", slice(0, 2), bias=-9)
    # Two tenths of its range below 0.
    values = outputs(network, "gap").sum(axis=1) * 0.1
    set_channel(network, "hidden", 2, bias=-values.max() - 0.2 * np.ptp(values))
    assert outputs(network, "hidden")[:, :3].max() == 0
    pruned, removed = prune(network)
    assert removed == {"hidden": (2, 4)}
    assert [array.shape for array in pruned.get_weights()[-4:]] == [(3, 2), (2,), (2, 1), (1,)]
    assert_same_outputs(pruned, network)


def test_a_constant_channel_goes_through_the_pooling_into_the_dense_bias() -> None:
    network = make_network()
    set_channel(network, "project", 2, factor=0, bias=-0.5)
    pruned, removed = prune(network)
    assert removed == {"project": (1, 3)}
    before, after = (n.get_layer("hidden").get_weights() for n in (network, pruned))
    np.testing.assert_allclose(after[1], before[1] - 0.5 * before[0][2], atol=4 * 2**-24)
    assert_same_outputs(pruned, network)


def test_one_channel_stays_where_all_are_dead() -> None:
    network = make_network()
    for channel in range(WIDTH):
        set_channel(network, "expand", channel, factor=1e-9, bias=-1)
    pruned, removed = prune(network)
    assert removed == {"expand": (4, 5), "depthwise": (4, 5), "project": (2, 3), "hidden": (3, 4)}
    assert_same_outputs(pruned, network)


PADDINGS: dict[str, Taker] = {
    "none": lambda layers, value: layers.Conv2D(2, 3)(value),
    "its own": lambda layers, value: layers.Conv2D(2, 3, padding="same")(value),
    "a layer": lambda layers, value: layers.Conv2D(2, 3)(layers.ZeroPadding2D(1)(value)),
    "depthwise": lambda layers, value: layers.Conv2D(2, 1)(
        layers.DepthwiseConv2D(3, padding="same")(value)
    ),
}


@pytest.mark.parametrize("bias", [0, 1])
@pytest.mark.parametrize("padding", PADDINGS)
def test_a_constant_that_padding_breaks_stays_unless_it_is_zero(padding: str, bias: float) -> None:
    network = make_network(PADDINGS[padding])
    set_channel(network, "project", 1, factor=0, bias=bias)
    pruned, removed = prune(network)
    assert ("project" in removed) == (bias == 0 or padding == "none")
    assert_same_outputs(pruned, network)


ODD_WAYS: dict[str, Taker] = {
    "a sum": lambda layers, value: layers.Conv2D(2, 1)(layers.Add()([value, value])),
    "two readers": lambda layers, value: [layers.Conv2D(n, 1)(value) for n in (1, 2)],
    "an output": lambda layers, value: [value, layers.Conv2D(2, 1)(value)],
    "a shared layer": lambda layers, value: (lambda one: one(one(value)))(layers.Conv2D(3, 1)),
    "groups": lambda layers, value: layers.Conv2D(3, 1, groups=3)(value),
    "softmax": lambda layers, value: layers.Conv2D(2, 1)(layers.Activation("softmax")(value)),
    "channels doubled": lambda layers, value: layers.Conv2D(2, 1)(
        layers.DepthwiseConv2D(1, depth_multiplier=2)(value)
    ),
    "two networks": lambda layers, value: layers.Conv2D(2, 1)(
        (value, value.node.layer(layers.Input((6, 6, WIDTH))))[0]
    ),
    "fused ReLU": lambda layers, value: layers.Conv2D(2, 1)(
        layers.Conv2D(3, 1, activation="relu")(layers.Add()([value, value]))
    ),
    "fused depthwise": lambda layers, value: layers.Conv2D(2, 1)(
        layers.DepthwiseConv2D(1, activation="relu")(value)
    ),
    "no bias": lambda layers, value: layers.Conv2D(2, 1, use_bias=False)(value),
}


@pytest.mark.parametrize("way", ODD_WAYS)
def test_channels_on_another_way_stay(way: str) -> None:
    network = make_network(ODD_WAYS[way])
    set_channel(network, "project", 1, factor=0, bias=0)
    pruned, removed = prune(network)
    assert removed == {}
    assert all(map(np.array_equal, pruned.get_weights(), network.get_weights()))


def test_mobilenet_loses_what_is_dead_in_its_kinds_of_layers_and_nothing_else() -> None:
    from edge_melanoma.converters.networks.rewriting import fold_batch_norm
    from edge_melanoma.network.network import build_network, calibrate_batch_norm
    from edge_melanoma.network.recipes import VARIANTS, Variant

    images = np.random.default_rng(1).random((3, 224, 224, 3), dtype=np.float32)
    network = build_network(VARIANTS[Variant.FROZEN])
    # Each channel's mean is then 0 before its activation, so that none is dead by chance.
    calibrate_batch_norm(network, images)
    folded = fold_batch_norm(network)
    set_channel(folded, "hidden", slice(None), bias=3)
    set_channel(folded, "expanded_conv_depthwise", slice(4), bias=2)
    for name, count in {"Conv1": 4, "block_1_depthwise": 9, "Conv_1": 22, "hidden": 7}.items():
        set_channel(folded, name, slice(count), bias=-99)
    pruned, removed = prune(folded, images)
    # 4 of Conv1 take 4 * (27 + 9 + 16 + 2 * 12) = 304 bytes, 28 zero points 224; so in Conv_1,
    # 22 * (320 + 128 + 12) and 8 * 1,258. The 9 would give 9 * (16 + 9 + 24 + 24) for 8 * 87.
    expected = {"Conv1": (4, 32), "expanded_conv_depthwise": (4, 32), "Conv_1": (22, 1280)}
    assert removed == {**expected, "hidden": (7, 128)}
    found, score = (model(images, training=False).numpy() for model in (pruned, folded))
    np.testing.assert_allclose(found, score, rtol=0, atol=1e-5)


def test_calibration_without_images_is_refused() -> None:
    from edge_melanoma.converters.networks.pruning import prune_dead_channels

    with pytest.raises(ValueError, match=r"^there are no batches of calibration images$"):
        prune_dead_channels(make_network(), [])
