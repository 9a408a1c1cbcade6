"""Who trains together: the choice of a strategy, the workers that TF_CONFIG names, their shares."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.errors import EdgeMelanomaError

TF_CONFIG = "TF_CONFIG"
EXAMPLE = (
    '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
JOBS = ("chief", "worker")
PATIENCE_SECONDS = 600.0
"""Within which all workers have to be there: machines of one job may start minutes apart."""


class Strategy(StrEnum):
    """How a training is spread over devices, named as tf.distribute names it."""

    NONE = "none"
    MIRRORED = "mirrored"
    MULTIWORKER = "multiworker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The workers of one training as host:port; `index` is this one, and 0 leads."""

    addresses: tuple[str, ...]
    index: int

    @property
    def is_first(self) -> bool:
        """Whether this worker leads: it writes the run folder."""
        return self.index == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """What a training ran on: processes, and devices in all of them together."""

    strategy: Strategy = Strategy.NONE
    workers: int = 1
    replicas: int = 1

    def describe(self) -> dict[str, str | int] | None:
        """For the manifest; nothing where one process trained on one device by itself."""
        if self.strategy is Strategy.NONE:
            return None
        return {"strategy": self.strategy, "workers": self.workers, "replicas": self.replicas}


ALONE = Distribution()


def read_cluster(
    strategy: Strategy, environment: Mapping[str, str] | None = None
) -> Cluster | None:
    """The workers that TF_CONFIG names where the strategy is that of several workers.

    Raises:
        EdgeMelanomaError: TF_CONFIG is missing, cannot be used, or contradicts the strategy.
    """
    text = (os.environ if environment is None else environment).get(TF_CONFIG, "")
    if strategy is Strategy.MULTIWORKER:
        if not text:
            raise EdgeMelanomaError(
                f"--strategy multiworker needs the environment variable {TF_CONFIG}, "
                f"as in {EXAMPLE}."
            )
        return _parse(text)
    if text and len(_parse(text).addresses) > 1:
        raise EdgeMelanomaError(
            f"{TF_CONFIG} names several workers, but --strategy is {strategy}: each of them would "
            f"train by itself; give --strategy multiworker, or unset {TF_CONFIG}."
        )
    return None


def own_rows(rows: int, *, batch_size: int, parts: int, index: int) -> NDArray[np.int64]:
    """Which rows of an epoch, of `rows` in batches, belong to part `index` of `parts`.

    Each batch is cut into runs of rows whose lengths differ by one at most, the longer ones first:
    so the last batch gives no part more than a full batch does.
    """
    starts = range(0, rows, batch_size)
    shares = [
        start + own_slice(min(batch_size, rows - start), parts=parts, index=index)
        for start in starts
    ]
    return np.concatenate([np.zeros(0, dtype=np.int64), *shares])


def own_slice(rows: int, *, parts: int, index: int) -> NDArray[np.int64]:
    """The rows of one batch that belong to part `index`, none where there are too few."""
    whole, over = divmod(rows, parts)
    start = index * whole + min(index, over)
    return np.arange(start, start + whole + (index < over), dtype=np.int64)


def _parse(text: str) -> Cluster:
    try:
        told = json.loads(text)
        jobs = {job: [str(a) for a in told["cluster"][job]] for job in told["cluster"]}
        job, number = str(told["task"]["type"]), int(told["task"]["index"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _unusable("it is not JSON with a cluster and a task") from error
    if odd := [name for name in jobs if name not in JOBS]:
        raise _unusable(f"its cluster has the job '{odd[0]}', expected worker, or chief and worker")
    addresses = [*jobs.get("chief", []), *jobs.get("worker", [])]
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise _unusable(f"'{address}' is no host:port")
    if len(set(addresses)) < len(addresses):
        raise _unusable("it names an address twice")
    if not 0 <= number < len(jobs.get(job, [])):
        raise _unusable(f"its task '{job} {number}' is not in its cluster")
    index = number + (len(jobs.get("chief", [])) if job == "worker" else 0)
    return Cluster(addresses=tuple(addresses), index=index)


def _unusable(reason: str) -> EdgeMelanomaError:
    return EdgeMelanomaError(f"{TF_CONFIG} cannot be used: {reason}; expected it as in {EXAMPLE}.")
