"""Ray, the engine that spreads work over the processes of several machines: started and left.

An extra: `pip install 'edge-melanoma[ray]'`. Without an address it is started on this machine for
one command alone, and listens on loopback; with one, this process joins a cluster that is there.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edge_melanoma.errors import EdgeMelanomaError, MissingExtraError

ACTOR_CPUS = 0.5
"""What an actor reserves: with a whole one each, two of them waited for ever on two cores."""

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is told to anybody
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what it would warn of otherwise
    "RAY_TRAIN_V2_ENABLED": "1",
}
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""The one setting that binds every port to 127.0.0.1; `--node-ip-address` leaves some open."""


@contextmanager
def connect(address: str | None, *, workers: int) -> Iterator[Any]:
    """The module `ray`, with room for `workers` actors of `ACTOR_CPUS` each; shut down at the end.

    `address` is that of a cluster's head as host:port, or auto for the one on this machine.

    Raises:
        MissingExtraError: Ray is not installed.
        EdgeMelanomaError: no cluster answers at the address.
    """
    ray = import_ray(loopback=address is None)
    arguments: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address is None:
        cpus = max(workers, os.cpu_count() or 1)
        arguments |= {"address": "local", "num_cpus": cpus, "include_dashboard": False}
    else:
        arguments |= {"address": address, "runtime_env": {"env_vars": SETTINGS}}
    try:
        ray.init(**arguments)
    except (ConnectionError, ValueError, RuntimeError) as error:
        if address is None:
            raise
        raise EdgeMelanomaError(
            f"No Ray cluster answers at --address {address}; expected host:port of its head, as "
            f"`ray start --head` tells it, or auto for one on this machine."
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def import_ray(*, loopback: bool) -> Any:
    """The module, imported with its settings made: it reads some of them only then.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    os.environ.update(SETTINGS | (LOOPBACK if loopback else {}))
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError.for_package(
            error.name or "ray", extra="ray", purpose="--engine ray"
        ) from error
    return ray
