"""A child that dies at any moment, its start included, ends the work in a moment and a sentence."""

import fcntl
import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.reduction import recv_handle
from pathlib import Path
from typing import Any

import pytest

from edge_melanoma.errors import ChildDiedError, EdgeMelanomaError
from edge_melanoma.machine import processes
from edge_melanoma.machine.processes import ProcessPool, map_ahead, run_in_child, run_limited

LARGE = 50_000_000
"""Bytes: far more than any pipe holds, so that each end has to wait for the other."""
SOON = 60.0


class Deadly:
    """Ends the process that unpacks it."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os._exit, (9,)


def make_large(_: int = 0) -> bytes:
    return b"x" * LARGE


def sleep(_: int = 0) -> None:
    time.sleep(300)


def fail(_: int = 0) -> None:
    raise ValueError("a defect")


def refuse() -> None:
    raise EdgeMelanomaError("It is refused.")


@pytest.fixture(autouse=True)
def soon() -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < SOON


def in_pool(function: Callable[..., Any], *arguments: Any) -> Any:
    with ProcessPool(2) as pool:
        return pool.submit(function, *arguments).result()


def limited(function: Callable[..., Any], *arguments: Any) -> Any:
    return run_limited(function, *arguments, what="The model a", seconds=50)


KINDS = pytest.mark.parametrize("call", [run_in_child, in_pool, limited])


@KINDS
def test_a_child_may_die_while_it_is_sent_a_model(call: Callable[..., Any]) -> None:
    with pytest.raises(ChildDiedError):
        call(len, (Deadly(), b"x" * LARGE))


@KINDS
def test_a_child_may_die_at_work(call: Callable[..., Any]) -> None:
    with pytest.raises(ChildDiedError):
        call(os._exit, 3)


@KINDS
def test_large_things_go_there_and_back(call: Callable[..., Any]) -> None:
    assert call(len, b"x" * LARGE) == LARGE
    assert len(call(make_large)) == LARGE


@KINDS
def test_what_is_raised_there_is_raised_here(call: Callable[..., Any]) -> None:
    with pytest.raises(EdgeMelanomaError, match=r"^It is refused\.$"):
        call(refuse)
    with pytest.raises(ValueError, match="a defect") as caught:
        call(fail)
    assert "in fail" in caught.value.__notes__[0]


def test_what_is_sent_lies_in_a_sealed_file_and_fills_no_connection() -> None:
    here, there = multiprocessing.Pipe()
    processes._send(here, make_large())  # nobody reads yet
    descriptor = recv_handle(there)
    assert fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) == 0b1111
    again = f"/proc/self/fd/{descriptor}"
    assert Path(again).stat().st_size > LARGE
    with open(again, "r+b", buffering=0) as stream, pytest.raises(PermissionError):
        stream.write(b"other")
    os.close(descriptor)


def test_a_system_without_files_in_memory_has_private_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    here, there = multiprocessing.Pipe()
    processes._send(here, make_large())
    descriptor = recv_handle(there)
    told = os.stat(descriptor)
    assert (told.st_mode & 0o777, told.st_nlink) == (0o600, 0)
    os.close(descriptor)
    assert in_pool(len, b"x" * LARGE) == LARGE


def test_a_pool_begins_with_a_large_job_and_may_die_of_it() -> None:
    pool = ProcessPool(2, begin=(len, ((Deadly(), b"x" * LARGE),), {}))
    with pool, pytest.raises(ChildDiedError):
        list(map_ahead(pool, make_large, range(8)))


def test_an_error_ends_what_the_others_are_at() -> None:
    def work() -> None:
        with ProcessPool(2) as pool:
            begun.append(pool.submit(sleep))
            pool.submit(fail).result()

    begun: list[Any] = []
    with pytest.raises(ValueError, match="a defect"):
        work()
    assert begun[0].done()


def test_kill_9_at_any_moment_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[Any] = []
    begun = processes._Child.__init__

    def begin(child: Any, *arguments: Any, **settings: Any) -> None:
        begun(child, *arguments, **settings)
        children.append(child)

    monkeypatch.setattr(processes._Child, "__init__", begin)
    moments = random.Random(0)
    for _ in range(10):
        delay = moments.uniform(0, 0.6)

        def kill(delay: float = delay) -> None:
            while not children:
                time.sleep(0.001)
            time.sleep(delay)
            child = children.pop()
            os.kill(child._process.pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        pool = ProcessPool(1)
        with pool, pytest.raises(ChildDiedError):
            sum(len(made) for made in map_ahead(pool, make_large, range(1000), ahead=2))
        killer.join()


def test_a_process_that_cannot_be_started_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(processes._Spawned, "_Popen", staticmethod(refused))
    with pytest.raises(ChildDiedError, match=r"^No process can be started .* raise the limits"):
        run_in_child(len, b"")
