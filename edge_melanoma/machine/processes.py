"""Work in threads and in child processes, whose death is one sentence and not a crash."""

import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from itertools import islice
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess, SpawnProcess
from multiprocessing.reduction import ForkingPickler, recv_handle, send_handle
from pathlib import Path
from typing import Any, BinaryIO, ParamSpec, TypeVar, cast

from edge_melanoma.errors import ChildDiedError, EdgeMelanomaError
from edge_melanoma.machine.terminal import is_verbose

try:
    import fcntl
    import resource
except ModuleNotFoundError:  # on Windows
    resource = None  # type: ignore[assignment]

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")
Job = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]
"""A function and its arguments, which a child process can be sent."""

AHEAD = 64
"""Tasks in hand at once: far more than any machine has cores, and next to no memory."""

MEMORY_BYTES = 768 * 2**20
"""What a model and a picture may take beside the interpreter; a picture alone takes 400 MB."""

DEATH_SECONDS = 5.0
"""In which the system has buried a process whose connection is closed."""

PRELOADED = ["edge_melanoma.runtime.trial", "ai_edge_litert.schema_py_generated"]
"""What the server of limited processes has loaded; TensorFlow and its threads never are."""


def map_ahead(
    pool: Executor, function: Callable[[T], R], items: Iterable[T], *, ahead: int = AHEAD
) -> Iterator[R]:
    """`function` of each of `items`, in their order, at most `ahead` of them begun or waiting.

    `Executor.map` begins with a task for every item: of a million, more than a gigabyte.
    """
    queue = iter(items)
    begun = deque(pool.submit(function, item) for item in islice(queue, ahead))
    while begun:
        result = begun.popleft().result()
        begun.extend(pool.submit(function, item) for item in islice(queue, 1))
        yield result


@contextmanager
def stderr_discarded() -> Iterator[None]:
    """Discard what is written to file descriptor 2, unless --verbose was given.

    TensorFlow, its converter and LiteRT print there while they load, at any log level.
    """
    if is_verbose():
        yield
        return
    sys.stderr.flush()
    saved = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


@contextmanager
def _without_main() -> Iterator[None]:
    """Processes started meanwhile do not run the program's own file again.

    It may be a script without the guard for that, or a notebook.
    """
    main = sys.modules["__main__"]
    kept = {name: getattr(main, name, None) for name in ("__spec__", "__file__")}
    vars(main).update(dict.fromkeys(kept))
    try:
        yield
    finally:
        vars(main).update(kept)


class _Spawned(SpawnProcess):
    @staticmethod
    def _Popen(process: Any) -> Any:  # noqa: N802, a method of the base class
        with _without_main():
            return SpawnProcess._Popen(process)


class _Forked(ForkServerProcess):
    @staticmethod
    def _Popen(process: Any) -> Any:  # noqa: N802
        with _without_main():
            return ForkServerProcess._Popen(process)


_starting = threading.Lock()
"""One process begins at a time: `_without_main` changes what all of them would see."""


def _send(connection: Connection, thing: object) -> None:
    """Put it into a file without a name and send the file: no size of it fills a connection."""
    with _nameless_file() as stream:
        ForkingPickler(stream, pickle.HIGHEST_PROTOCOL).dump(thing)
        stream.flush()
        _seal(stream)
        stream.seek(0)
        send_handle(connection, stream.fileno(), None)


def _receive(connection: Connection) -> Any:
    with open(recv_handle(connection), "rb") as stream:
        return pickle.load(stream)


def _nameless_file() -> BinaryIO:
    """In memory where the system has such files, else on disk; nobody else can open it."""
    if not hasattr(os, "memfd_create"):
        return cast(BinaryIO, tempfile.TemporaryFile())
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    return open(os.memfd_create("edge-melanoma", flags), "w+b")


def _seal(stream: BinaryIO) -> None:
    """From here on the file is neither written nor cut by who has it."""
    if hasattr(os, "memfd_create"):
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
        fcntl.fcntl(stream, fcntl.F_ADD_SEALS, seals)


class _Child:
    """A process that does what it is sent, one call after the other, until it is ended.

    It has one connection, whose other end nobody else holds: whenever the process dies, its start
    included, both sending and waiting end at once.
    """

    def __init__(self, kind: type[SpawnProcess | ForkServerProcess], *, limited: bool) -> None:
        self._connection, there = multiprocessing.Pipe()
        self._process = kind(target=_serve, args=(there, limited), daemon=limited)
        try:
            with _starting:
                self._process.start()
        except (OSError, EOFError) as error:
            raise ChildDiedError(
                f"No process can be started ({str(error) or 'it died at once'}); free memory, or "
                f"raise the limits of this shell (ulimit)."
            ) from error
        finally:
            there.close()

    def call(self, job: Job, *, seconds: float | None = None) -> Any:
        """The result of a function, or what it raised.

        Raises:
            ConnectionError: the process died.
            TimeoutError: it took longer.
        """
        try:
            _send(self._connection, job)
            is_there = self._connection.poll(seconds)
            is_error, answer = _receive(self._connection) if is_there else (True, TimeoutError())
        except (EOFError, OSError) as error:
            raise ConnectionError from error
        if is_error:
            raise answer
        return answer

    def death(self) -> str:
        """How it died, as the end of a sentence."""
        self._process.join(DEATH_SECONDS)
        code = self._process.exitcode or 0
        return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"

    def end(self) -> None:
        """Kill it, whatever it does."""
        self._process.kill()
        self._process.join()
        self._connection.close()


def _serve(connection: Connection, limited: bool) -> None:
    """In a child: Ctrl-C is the parent's to obey, and none outlives a killed parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            with stderr_discarded() if limited else nullcontext():
                if limited:
                    limit_memory()
                function, args, kwargs = _receive(connection)
                answer = False, function(*args, **kwargs)
        except EOFError:
            return
        except Exception as error:
            if not isinstance(error, EdgeMelanomaError):
                error.add_note(traceback.format_exc())
            answer = True, error
        _send(connection, answer)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class ProcessPool(ThreadPoolExecutor):
    """Fresh interpreters, each with a thread here that waits for it.

    A forked child would inherit TensorFlow and its threads; and a `ProcessPoolExecutor` waits for
    ever where a child dies while it is sent a model or sends one back.
    """

    def __init__(self, workers: int, *, begin: Job | None = None, with_main: bool = False) -> None:
        super().__init__(workers)
        self._own = threading.local()
        self._children: list[_Child] = []
        self._begin, self._kind = begin, SpawnProcess if with_main else _Spawned

    def submit(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> "Future[R]":
        """Have a function of a module run; the result raises what it raised.

        Of a process that died it raises `ChildDiedError`.
        """
        return super().submit(self._call, (function, args, kwargs))

    def _call(self, job: Job) -> Any:
        try:
            child: _Child | None = getattr(self._own, "child", None)
            if child is None:
                child = self._own.child = _Child(self._kind, limited=False)
                self._children.append(child)
                if self._begin:
                    child.call(self._begin)
            return child.call(job)
        except ConnectionError as error:
            raise child_died() from error

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes; with `cancel_futures` in the midst of what they do."""
        if not cancel_futures:
            super().shutdown(wait)
        for child in self._children:
            child.end()
        super().shutdown(wait, cancel_futures=cancel_futures)

    def __exit__(self, kind: object, value: object, traceback: object) -> None:
        self.shutdown(cancel_futures=kind is not None)


def run_in_child(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """The result of `function` run in a process of its own; what it raises is raised here.

    Raises:
        ChildDiedError: the process died.
    """
    with ProcessPool(1, with_main=function.__module__ == "__main__") as pool:
        return pool.submit(function, *args, **kwargs).result()


def run_limited(function: Callable[..., R], *args: Any, what: str, seconds: float | None) -> R:
    """The result of `function` run in a process of its own that may fail in any way.

    Its memory is limited, and after `seconds` it is ended, where there is such a limit. `what`
    begins the sentence about a process that did not end well, as in `The model a.tflite`.

    Raises:
        ChildDiedError: it died, ran out of memory, or took longer.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)
    kind = ForkServerProcess if function.__module__ == "__main__" else _Forked
    child = _Child(kind, limited=True)
    try:
        return cast(R, child.call((function, args, {}), seconds=seconds))
    except TimeoutError as error:
        why = f"it took longer than {seconds:g} s"
        raise ChildDiedError(f"{what} cannot be used: {why}.") from error
    except ConnectionError as error:
        why = f"the process that ran it died {child.death()}"
        raise ChildDiedError(f"{what} cannot be used: {why}.") from error
    except MemoryError as error:
        why = f"it needs more than {MEMORY_BYTES // 2**20} MB of memory"
        raise ChildDiedError(f"{what} cannot be used: {why}.") from error
    finally:
        child.end()


def refuse_other_systems() -> None:
    """Raise where processes cannot be limited.

    Raises:
        EdgeMelanomaError: what to use.
    """
    if resource is None:
        raise EdgeMelanomaError(
            "This system has no limits of memory for a process, without which no file from "
            "elsewhere is opened; use Linux, on Windows that of WSL."
        )


def limit_memory() -> None:
    """Let this process take `MEMORY_BYTES` more than it has, and write no image of its memory.

    Counted are writable pages: what threads and libraries only reserve is not. Where the system
    does not tell how much there is now, nothing is limited.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmData:"))
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = int(kibibytes) * 1024 + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, most))


def child_died() -> ChildDiedError:
    """The sentence for a child process that ended without a result."""
    return ChildDiedError(
        "The process that ran the model died, out of memory or by a defect of the interpreter; "
        "check the file, or choose another interpreter with --interpreter."
    )


def last_line(text: str) -> str:
    """The last line that says something: of a traceback, the error."""
    return (text.strip().splitlines() or [""])[-1].strip()
