"""The devices of one training, in this process and in those that it trains together with."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.machine.tensorflow import tf
from edge_melanoma.training.workers import (
    PATIENCE_SECONDS,
    TF_CONFIG,
    Cluster,
    Distribution,
    Strategy,
    own_rows,
)

HEARTBEAT_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """`local` devices in each of `processes`; `strategy` is one of tf.distribute, or none.

    Without a strategy everything here gives back what it is given.
    """

    strategy: Any = None
    local: int = 1
    processes: int = 1
    index: int = 0

    @property
    def total(self) -> int:
        """Devices in all processes."""
        return self.local * self.processes

    def own_rows(self, rows: int, *, batch_size: int) -> NDArray[np.int64]:
        """Which of an epoch's rows, in batches of all processes, this process works on."""
        return own_rows(rows, batch_size=batch_size, parts=self.processes, index=self.index)

    def gather(
        self, values: NDArray[np.float64], own: NDArray[np.int64], *, rows: int
    ) -> NDArray[np.float64]:
        """All `rows` values, where this process has those of the rows `own`."""
        whole = np.zeros(rows, dtype=np.float64)
        whole[own] = values
        return self.sum(whole)

    def of_first(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array of the first process, in every process."""
        return self.sum(array if self.index == 0 else np.zeros_like(array))

    def sum(self, array: NDArray[Any]) -> NDArray[Any]:
        """The sum over processes; exact where all but one of the terms are zero."""
        if self.processes == 1:
            return array
        terms = self.spread([array, *[np.zeros_like(array)] * (self.local - 1)])
        total = self.strategy.reduce(tf.distribute.ReduceOp.SUM, terms, axis=None)
        summed: NDArray[Any] = total.numpy()
        return summed

    def spread(self, arrays: Sequence[NDArray[Any]]) -> Any:
        """One array for each device of this process, as tf.distribute hands them on."""
        first = self.index * self.local
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(arrays[context.replica_id_in_sync_group - first])
        )

    def local_values(self, value: Any) -> tuple[Any, ...]:
        """What the devices of this process have of a value or variable."""
        values: tuple[Any, ...] = self.strategy.experimental_local_results(value)
        return values


ALONE = Replicas()


def mirror() -> Replicas:
    """All GPUs of this machine, or the logical CPUs where there is none."""
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
    return Replicas(strategy=strategy, local=len(devices))


def join_workers(
    cluster: Cluster,
    *,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Replicas:
    """Wait until all workers of the cluster are there, and train with them from then on.

    To be called before anything else of TensorFlow, once in a process. A worker that is silent for
    `heartbeat_seconds` is lost: whatever the others wait for then raises `tf.errors.OpError`, or
    TensorFlow ends the process. After `patience_seconds` without the first worker the others raise
    it too; the first one waits for the others without end, and obeys no SIGTERM meanwhile.
    """
    from tensorflow.python.eager import context

    config = {
        "cluster": {"worker": list(cluster.addresses)},
        "task": {"type": "worker", "index": cluster.index},
    }
    os.environ[TF_CONFIG] = json.dumps(config)
    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader="/job:worker/replica:0/task:0",
        cluster_register_timeout_in_ms=int(1000 * patience_seconds),
        heartbeat_timeout_in_ms=int(1000 * heartbeat_seconds),
        coordinated_jobs=[_coordinated_job(len(cluster.addresses))],
    )
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    processes = len(cluster.addresses)
    replicas = Replicas(
        strategy=strategy,
        local=strategy.num_replicas_in_sync // processes,
        processes=processes,
        index=cluster.index,
    )
    replicas.sum(np.zeros(1))
    return replicas


def describe_devices(strategy: Strategy, cluster: Cluster | None) -> Distribution:
    """What the training of this command runs on; every worker has as many devices as this one."""
    if strategy is Strategy.NONE:
        return Distribution()
    gpus = len(tf.config.list_physical_devices("GPU"))
    local = gpus or (1 if cluster else len(tf.config.list_logical_devices("CPU")))
    workers = len(cluster.addresses) if cluster else 1
    return Distribution(strategy=strategy, workers=workers, replicas=workers * local)


def _coordinated_job(tasks: int) -> Any:
    from tensorflow.python.distribute import collective_all_reduce_strategy

    protocol = collective_all_reduce_strategy.coordination_config_pb2
    return protocol.CoordinatedJob(name="worker", num_tasks=tasks)
