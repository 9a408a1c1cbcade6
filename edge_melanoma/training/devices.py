"""The devices that one training runs on: of this process, and of those that it trains with."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.machine.tensorflow import tf, tf_keras


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """`local` devices in each of `workers` processes, of which this one has the number `index`.

    `strategy` is one of tf.distribute, or none where a single device trains by itself.
    """

    strategy: Any = None
    local: int = 1
    workers: int = 1
    index: int = 0

    @property
    def total(self) -> int:
        """Devices of all processes."""
        return self.local * self.workers

    def scope(self) -> AbstractContextManager[Any]:
        """Within it, networks and optimizers are made for all devices."""
        scope: AbstractContextManager[Any] = (
            self.strategy.scope() if self.strategy else nullcontext()
        )
        return scope

    def synchronise_batch_norm(self, network: Any) -> None:
        """Let batch norm that trains see the whole batch; to be called when it is frozen or not."""
        for layer in network.layers if self.strategy else ():
            if isinstance(layer, tf_keras.layers.BatchNormalization):
                layer.synchronized = layer.trainable
                layer.fused = not layer.trainable

    def dataset(self, shares: Iterator[tuple[Any, Any]], *, like: tuple[Any, Any]) -> Any:
        """`shares` of the devices in turn as a distributed data set; `like` is one of them."""
        signature = tuple(
            tf.TensorSpec((None, *array.shape[1:]), tf.as_dtype(array.dtype)) for array in like
        )
        return self.strategy.distribute_datasets_from_function(
            lambda _: tf.data.Dataset.from_generator(lambda: shares, output_signature=signature)
        )

    def sum(self, array: NDArray[Any]) -> NDArray[Any]:
        """The sum over processes; exact where all but one of the terms are zero."""
        if self.workers == 1:
            return array
        terms = self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(
                array if context.replica_id_in_sync_group % self.local == 0 else 0 * array
            )
        )
        total = self.strategy.reduce(tf.distribute.ReduceOp.SUM, terms, axis=None)
        summed: NDArray[Any] = np.asarray(total)
        return summed


ALONE = Devices()


def mirror() -> Devices:
    """One replica on each of `device_names`."""
    names = device_names()
    return Devices(strategy=tf.distribute.MirroredStrategy(names), local=len(names))


def device_names() -> list[str]:
    """All GPUs of this machine, or the logical CPUs where there is none."""
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name for device in devices]
