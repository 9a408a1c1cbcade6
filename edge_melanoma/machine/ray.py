"""Ray, the engine that spreads work over the processes of several machines: started and left.

An extra: `pip install '.[ray]'`. Without an address it is started on this machine for
one command alone, and listens on loopback, but for TensorFlow's own ports in a training; with one,
this process joins a cluster that is there.
"""

import logging
import os
import pickle
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from edge_melanoma.errors import EdgeMelanomaError, MissingExtraError
from edge_melanoma.machine.processes import stderr_discarded

T = TypeVar("T")
R = TypeVar("R")

ACTOR_CPUS = 0.5
"""What an actor reserves: with a whole one each, two of them waited for ever on two cores."""

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is told to anybody
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what it would warn of otherwise
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_worker_niceness": "0",  # by default others' work goes before that of the workers
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # its own warnings, written past Python to stderr
}
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""The one setting that binds every port to 127.0.0.1; `--node-ip-address` leaves some open."""

TOKEN = Path("~/.ray/auth_token")
"""Ray's own file, made at its first start."""

ANSWER_SECONDS = 10.0
CHUNK_SIZE = 16
"""Items that an actor takes at once: enough that Ray's own work for them is next to none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RayWorkers:
    """How many actors (none: one a core of the cluster), and the head of the cluster to join."""

    count: int | None = None
    address: str | None = None


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
    host, colon, port = (address or "").rpartition(":")
    handler = signal.getsignal(signal.SIGTERM)
    try:
        if colon and port.isdecimal():  # Where nobody listens, Ray itself would try for minutes.
            socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
        with stderr_discarded():  # It tells there at which level it tells anything.
            ray.init(**arguments)
    except (OSError, ValueError, RuntimeError) as error:
        if address is None:
            raise
        raise EdgeMelanomaError(
            f"No Ray cluster answers at --address {address}; expected host:port of its head, as "
            f"`ray start --head` tells it, or auto for one on this machine."
        ) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)  # Ray's own handler aborts.
    try:
        yield ray
    finally:
        ray.shutdown()


def import_ray(*, loopback: bool) -> Any:
    """The module, imported with its settings made: it reads some of them only then."""
    os.environ.update(SETTINGS | (LOOPBACK if loopback else {}))
    if not loopback and TOKEN.expanduser().is_file():
        # A head that finds the token asks for it; who joins does not show it unasked.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError.for_package(
            error.name or "ray", extra="ray", purpose="--engine ray"
        ) from error
    return ray


def map_by_ray(
    make: Callable[[], Callable[[T], R]], items: Sequence[T], workers: RayWorkers
) -> Iterator[R]:
    """As `map_in_actors`, with Ray started or joined for this alone."""
    with connect(workers.address, workers=workers.count or 0) as ray:
        yield from map_in_actors(ray, make, items, workers)


def map_in_actors(
    ray: Any, make: Callable[[], Callable[[T], R]], items: Sequence[T], workers: RayWorkers
) -> Iterator[R]:
    """What the function that each actor makes for itself gives for each of `items`, in order.

    What a killed actor had in hand another one does again; that is Ray's own default, which an
    actor with `max_restarts` or `max_task_retries` of its own loses when a machine goes.

    Raises:
        EdgeMelanomaError: the function raised it, or the actors gave less than was asked for.
    """
    rows = [
        {"place": place, "items": pickle.dumps(items[start : start + CHUNK_SIZE])}
        for place, start in enumerate(range(0, len(items), CHUNK_SIZE))
    ]
    if not rows:
        return
    count = workers.count or max(1, int(ray.cluster_resources().get("CPU", 1)))
    results = _rows_of(make, rows, actors=min(count, len(rows)))
    waiting: dict[int, bytes] = {}
    for place in range(len(rows)):
        while place not in waiting:
            row = next(results, None)
            if row is None:
                raise EdgeMelanomaError(
                    f"Ray's actors ended after {place} of {len(rows)} parts of the work; nothing "
                    f"is told of a part. Look into the cluster's logs and start again."
                )
            waiting[row["place"]] = row["results"]
        found = pickle.loads(waiting.pop(place))
        if isinstance(found, EdgeMelanomaError):
            raise found
        yield from found


def _rows_of(
    make: Callable[[], Callable[[T], R]], rows: list[dict[str, Any]], *, actors: int
) -> Iterator[dict[str, Any]]:
    import ray.data as ray_data

    ray_data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    found = ray_data.from_items(rows).map_batches(
        _Actor,
        fn_constructor_args=(make,),
        batch_size=1,
        num_cpus=ACTOR_CPUS,
        compute=ray_data.ActorPoolStrategy(size=actors),
    )
    return iter(found.iter_rows())


class _Actor:
    """In a process of Ray's: does what it was sent, and sends back what the user can mend."""

    def __init__(self, make: Callable[[], Callable[[Any], Any]]) -> None:
        self._function = cache(make)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        results: Any
        try:
            results = [self._function()(item) for item in pickle.loads(batch["items"][0])]
        except EdgeMelanomaError as error:
            results = error
        return {"place": batch["place"], "results": [pickle.dumps(results)]}
