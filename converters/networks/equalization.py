"""Channels of one tensor brought nearer to one range, which the network's function does not notice.

An int8 tensor has one step for all its channels, so that a channel with a tenth of the widest one's
range is left with a tenth of the steps. Where nothing but sums, ReLU and pooling lies between two
kernels, a channel may be made wider by a factor in one kernel and narrower by it in the next.
After Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (2019),
with ranges that are measured, and over MobileNetV2's residual sums: all tensors that are added up
share their factors.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.converters.networks.rewriting import (
    Float32,
    ends_over,
    fold_batch_norm,
    has_kernel,
    output_axis,
    parents_of,
)
from edge_melanoma.machine.tensorflow import tf, tf_keras

SHARE = 0.5
"""Exponent of a factor: 1 would give all channels the widest one's range, and cost the next
kernel, whose small weights grow smaller, what the tensor gains."""

LARGEST_FACTOR = 64.0
"""Before the exponent; a channel that is hardly ever alive is not to be blown up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Layers whose outputs must keep the same factors, and the kernels that take what they give."""

    members: tuple[Any, ...]
    takers: tuple[Any, ...]

    @property
    def makers(self) -> tuple[Any, ...]:
        return tuple(layer for layer in self.members if has_kernel(layer))

    @property
    def cap(self) -> float | None:
        """Where a ReLU6 cuts its values off, which factors must not reach."""
        caps = [member.max_value for member in self.members if _is_relu(member)]
        return min((float(cap) for cap in caps if cap is not None), default=None)


def equalize_channels(
    network: Any, batches: Iterable[Float32], *, spared: Collection[str] = ()
) -> Any:
    """A copy of `network`, folded, that gives the same scores from channels of more equal range.

    `batches` are network inputs (n, 224, 224, 3) of the training side. A picture whose channel
    exceeds its range in all of them, times its room below a ReLU6, may be cut off there. What the
    layers `spared` make stays as it is.
    """
    folded = fold_batch_norm(network)
    groups = [
        group
        for group in _find_groups(folded)
        if not any(layer.name in spared for layer in group.members)
    ]
    for group, ends in zip(groups, _measure(groups, folded, batches), strict=True):
        factors = _factors_of(group, ends)
        for layer in group.makers:
            kernel, bias = layer.get_weights()
            layer.set_weights([_times(kernel, factors, output_axis(layer)), bias * factors])
        for layer in group.takers:
            kernel, bias = layer.get_weights()
            layer.set_weights([_times(kernel, np.reciprocal(factors), _input_axis(layer)), bias])
    return folded


def _find_groups(network: Any) -> list[_Group]:
    """All groups that may be scaled, in the order of the network."""
    place = {layer.name: layer.name for layer in network.layers}

    def root_of(name: str) -> str:
        while place[name] != name:
            name = place[name]
        return name

    takers: dict[str, list[Any]] = defaultdict(list)
    for layer in network.layers[1:]:
        for parent in parents_of(layer):
            if has_kernel(layer):
                takers[parent].append(layer)
            else:
                place[root_of(parent)] = root_of(layer.name)
    members: dict[str, list[Any]] = defaultdict(list)
    for layer in network.layers:
        members[root_of(layer.name)].append(layer)
    groups = [
        _Group(members=tuple(found), takers=tuple(x for m in found for x in takers[m.name]))
        for found in members.values()
    ]
    ends = {*network.input_names, *network.output_names}
    return [group for group in groups if _can_scale(group, ends=ends)]


def _can_scale(group: _Group, *, ends: set[str]) -> bool:
    """Whether every value of the group is made, handed on and taken channel by channel."""
    if not group.takers or any(layer.name in ends for layer in group.members):
        return False
    is_used_once = all(len(layer.inbound_nodes) == 1 for layer in (*group.members, *group.takers))
    return is_used_once and all(map(_scales, group.members)) and all(map(_is_plain, group.takers))


def _scales(layer: Any) -> bool:
    layers, activations = tf_keras.layers, tf_keras.activations
    if has_kernel(layer):
        linear = layer.activation in (activations.linear, activations.relu)
        return _is_plain(layer) and linear
    if isinstance(layer, layers.Activation):
        return bool(layer.activation is activations.linear)
    if _is_relu(layer):
        return not layer.negative_slope and not layer.threshold
    kept = layers.Add, layers.ZeroPadding2D, layers.GlobalAveragePooling2D
    return isinstance(layer, kept)


def _is_plain(layer: Any) -> bool:
    groups, multiplier = getattr(layer, "groups", 1), getattr(layer, "depth_multiplier", 1)
    return bool(layer.use_bias) and groups == 1 and multiplier == 1


def _is_relu(layer: Any) -> bool:
    return isinstance(layer, tf_keras.layers.ReLU)


def _measure(
    groups: Sequence[_Group], network: Any, batches: Iterable[Float32]
) -> list[NDArray[np.float64]]:
    """Smallest and largest value of every channel, (2, channels), over a group's tensors.

    Of a group with a ReLU6, over what its kernels make, before it is cut off.
    """
    taps = [
        [layer.output for layer in (group.makers if group.cap is not None else group.members)]
        for group in groups
    ]
    probe = tf_keras.Model(network.input, taps)

    def measure(batch: Any) -> list[Any]:
        return [
            tf.stack([_reduce(tf.reduce_min, values), _reduce(tf.reduce_max, values)])
            for values in probe(batch, training=False)
        ]

    return ends_over(batches, measure, shape=network.input_shape[1:])


def _reduce(reduction: Any, values: Any) -> Any:
    return reduction([reduction(value, range(len(value.shape) - 1)) for value in values], axis=0)


def _factors_of(group: _Group, ends: NDArray[np.float64]) -> NDArray[np.float32]:
    """By what each channel becomes wider, at least 1."""
    if group.cap is None:
        reach = np.abs(ends).max(axis=0)
        target = reach.max()
    else:
        reach, target = np.maximum(ends[1], 0), group.cap
    factors = target / np.maximum(reach, max(target, 1e-30) / LARGEST_FACTOR)
    return np.asarray(np.maximum(factors, 1) ** SHARE, np.float32)


def _input_axis(layer: Any) -> int:
    """A depthwise kernel keeps its channels on the axis that others take theirs from."""
    return 0 if isinstance(layer, tf_keras.layers.Dense) else 2


def _times(kernel: Float32, factors: NDArray[np.float32], axis: int) -> Float32:
    shape = [1] * kernel.ndim
    shape[axis] = -1
    return kernel * factors.reshape(shape)
