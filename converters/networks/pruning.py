"""Channels that no picture brings to life, taken out of a folded network with all their weights.

MobileNetV2's ImageNet weights hold some: in 9 of 32 channels of Conv1, its largest tensor, ReLU
gives 0 whatever the pixels are. Folded, most have kernels near 1e-20 beside biases near 1, so that
the int32 bias of an int8 file overflows in some quantisers.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.converters.networks import rewriting
from edge_melanoma.converters.networks.rewriting import Float32, output_axis
from edge_melanoma.machine.tensorflow import tf, tf_keras

MARGIN = 0.3
"""Share of a channel's range on calibration images by which other images may exceed it.

Measured with 200 images, three networks and 1,591 others: of channels that had been dead, some came
to life that had lain up to 0.22 of their range below 0. Depthwise channels did so from any distance
below, the reason why those are proved dead by their kernels.
"""

ROUNDING = 1e-6
"""Share of its value by which one constant may seem to vary: 2^-23 for each of eight roundings."""

ZERO_POINT_BYTES, CHANNEL_BYTES = 8, 12
"""A channel in an int8 file beside its kernel: an int64; an int32 bias and two float32 scales."""

Float64 = NDArray[np.float64]
Ends = Float64
"""Smallest and largest output by channel, (2, channels)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chain:
    """Layers with the same channels, the first of which makes them, and the one that takes them."""

    path: tuple[Any, ...]
    taker: Any

    @property
    def makers(self) -> tuple[Any, ...]:
        return tuple(layer for layer in self.path if layer.weights)


def prune_dead_channels(
    folded: Any, batches: Iterable[Float32], *, spared: Collection[str] = ()
) -> tuple[Any, dict[str, int]]:
    """A folded network without the channels that stay constant, and how many went by layer.

    A channel goes if, from the range that its convolution or dense layer has on `batches`, widened
    by `MARGIN`, it follows that what arrives at the next kernel over all channels is one value; the
    value's share goes into that layer's bias. Between the two may stand depthwise layers, ReLU,
    identities, zero padding and pooling; channels on any other way stay, and one of each layer,
    those whose weights take less in an int8 file than the zero points of one more width, and all of
    the layers `spared`.

    `batches` are network inputs (n, 224, 224, 3) of the training side.
    """
    chains, spared_names = tuple(_find_chains(folded)), set(spared)
    weights = {layer.name: layer.get_weights() for layer in folded.layers}
    removed: dict[str, int] = {}
    for chain, measured in zip(chains, _measure(chains, folded, batches), strict=True):
        reach = MARGIN * (measured[1] - measured[0])
        lowest, highest = _ends_at_taker(chain, measured + np.stack([-reach, reach]))
        kept = highest - lowest > ROUNDING * np.abs(highest)
        kept[0] |= not kept.any()
        is_spared = not spared_names.isdisjoint(layer.name for layer in chain.makers)
        if kept.all() or is_spared or not _pays_off(chain, kept):
            continue
        _fold_constants(weights[chain.taker.name], kept, (lowest + highest) / 2)
        for layer in chain.makers:
            kernel, bias = weights[layer.name]
            weights[layer.name] = [kernel.compress(kept, axis=output_axis(layer)), bias[kept]]
            removed[layer.name] = int((~kept).sum())
    return _rebuild(folded, weights), removed


def _find_chains(network: Any) -> Iterator[_Chain]:
    children = defaultdict(list)
    for layer in network.layers:
        for node in layer.inbound_nodes:
            for parent in node.parent_nodes:
                children[parent.layer.name].append(layer)
    for first in filter(_makes_channels, network.layers):
        path = [first]
        # A layer that is used twice has two inbound nodes, an output has a reader outside.
        while len(children[path[-1].name]) == 1 and path[-1].name not in network.output_names:
            (child,) = children[path[-1].name]
            if len(child.inbound_nodes) != 1:
                break
            if _mixes_channels(child):
                yield _Chain(path=tuple(path), taker=child)
            if not _keeps_channels_apart(child):
                break
            path.append(child)


def _makes_channels(layer: Any) -> bool:
    """Whether its values before the activation can be had, and each channel goes its own way."""
    if not _mixes_channels(layer) or len(layer.inbound_nodes) != 1:
        return False
    is_dense = type(layer) is tf_keras.layers.Dense
    return _is_linear(layer) or (is_dense and layer.activation is tf_keras.activations.relu)


def _mixes_channels(layer: Any) -> bool:
    if type(layer) not in (tf_keras.layers.Conv2D, tf_keras.layers.Dense):
        return False
    return bool(layer.use_bias) and getattr(layer, "groups", 1) == 1


def _keeps_channels_apart(layer: Any) -> bool:
    layers = tf_keras.layers
    if type(layer) is layers.DepthwiseConv2D:
        return _is_linear(layer) and layer.depth_multiplier == 1 and bool(layer.use_bias)
    if type(layer) is layers.Activation:
        return _is_linear(layer)
    return type(layer) in (layers.ReLU, layers.ZeroPadding2D, layers.GlobalAveragePooling2D)


def _is_linear(layer: Any) -> bool:
    return bool(layer.activation is tf_keras.activations.linear)


def _measure(chains: Sequence[_Chain], folded: Any, batches: Iterable[Float32]) -> list[Ends]:
    firsts = [chain.path[0] for chain in chains]
    taps = [first.output if _is_linear(first) else first.input for first in firsts]
    probe = tf_keras.Model(folded.input, taps)

    def measure(batch: Any) -> list[Any]:
        values = tf.nest.flatten(probe(batch, training=False))
        return [_ends(first, value) for first, value in zip(firsts, values, strict=True)]

    return rewriting.ends_over(batches, measure, shape=folded.input_shape[1:])


def _ends(first: Any, value: Any) -> Any:
    """Smallest and largest, (2, channels), of its output, or of what a dense layer is given."""
    if not _is_linear(first):
        value = tf.matmul(value, first.kernel) + first.bias
    axes = range(len(value.shape) - 1)
    return tf.stack([tf.reduce_min(value, axes), tf.reduce_max(value, axes)])


def _ends_at_taker(chain: _Chain, before_activation: Ends) -> Ends:
    """What can reach the kernel of the taker, by interval arithmetic along the chain.

    An activation, as ReLU or the identity, never falls: it takes the ends to the ends.
    """
    layers, (first, *others) = tf_keras.layers, chain.path
    found = first.activation(tf.constant(before_activation)).numpy().astype(np.float64)
    for layer in others:
        if isinstance(layer, layers.ZeroPadding2D) or _pads(layer):
            found = _with_zero(found)
        if isinstance(layer, layers.DepthwiseConv2D):
            kernel, bias = (array.astype(np.float64) for array in layer.get_weights())
            products = np.stack([kernel[..., 0] * end for end in found])
            extremes = products.min(axis=0), products.max(axis=0)
            found = np.stack([bias + products.sum(axis=(0, 1)) for products in extremes])
        elif isinstance(layer, layers.ReLU):
            found = layer(tf.constant(found)).numpy().astype(np.float64)
    return _with_zero(found) if _pads(chain.taker) else found


def _with_zero(ends: Ends) -> Ends:
    return np.stack([np.minimum(ends[0], 0), np.maximum(ends[1], 0)])


def _pads(layer: Any) -> bool:
    """Whether the kernel sees zeros beyond the border, beside which no other value is constant."""
    kernel_size = getattr(layer, "kernel_size", (1,))
    return max(kernel_size) > 1 and bool(layer.padding != "valid")


def _pays_off(chain: _Chain, kept: NDArray[np.bool_]) -> bool:
    """Whether an int8 file gets smaller: one of 960 channels takes 350 bytes, and its going 7,672.

    The file has a vector of zero points for each number of channels that occurs in it.
    """
    layers = (*chain.makers, chain.taker)
    values = sum(layer.get_weights()[0].size for layer in layers) // len(kept)
    saved = np.count_nonzero(~kept) * (values + CHANNEL_BYTES * len(chain.makers))
    return bool(saved > np.count_nonzero(kept) * ZERO_POINT_BYTES)


def _fold_constants(arrays: list[Float32], kept: NDArray[np.bool_], values: Float64) -> None:
    """Put what the lost channels gave a layer into its bias; inputs are the last axis but one."""
    kernel, bias = arrays
    of_channels = kernel.astype(np.float64).reshape(-1, *kernel.shape[-2:]).sum(axis=0)
    arrays[0] = kernel[..., kept, :]
    arrays[1] = (bias + values[~kept] @ of_channels[~kept]).astype(np.float32)


def _rebuild(folded: Any, weights: Mapping[str, list[Float32]]) -> Any:
    """The network with as many filters and units as its biases have values."""

    def resize(layer: Any) -> Any:
        config = layer.get_config()
        if _mixes_channels(layer):
            config["units" if "units" in config else "filters"] = len(weights[layer.name][1])
        return type(layer).from_config(config)

    pruned = tf_keras.models.clone_model(folded, clone_function=resize)
    for layer in pruned.layers:
        layer.set_weights(weights[layer.name])
    return pruned
