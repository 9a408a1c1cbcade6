"""Work in threads and in child processes, whose death is one sentence and not a crash."""

import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess, SpawnContext, SpawnProcess
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from edge_melanoma.errors import ChildDiedError

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

AHEAD = 64
"""Tasks in hand at once: far more than any machine has cores, and next to no memory."""

MEMORY_BYTES = 768 * 2**20
"""What a model and a picture may take beside the interpreter; a picture alone takes 400 MB."""

PRELOADED = ["edge_melanoma.runtime.interpreters", "ai_edge_litert.schema_py_generated"]
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
    """Discard what is written to file descriptor 2.

    TensorFlow, its converter and LiteRT print there while they load, at any log level.
    """
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


class _Context(SpawnContext):
    Process = _Spawned


def make_pool(
    workers: int,
    *,
    initializer: Callable[..., None] | None = None,
    initargs: tuple[Any, ...] = (),
    with_main: bool = False,
) -> ProcessPoolExecutor:
    """A pool of fresh interpreters: a forked child would inherit TensorFlow and its threads.

    `with_main` is for functions of the program's own file.
    """
    return ProcessPoolExecutor(
        workers,
        mp_context=SpawnContext() if with_main else _Context(),
        initializer=_begin,
        initargs=(initializer, initargs),
    )


def _begin(initializer: Callable[..., None] | None, initargs: tuple[Any, ...]) -> None:
    """In a child: Ctrl-C is the parent's to obey, and none outlives a killed parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if initializer is not None:
        initializer(*initargs)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def run_in_child(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """The result of `function` run in a process of its own; what it raises is raised here.

    Raises:
        ChildDiedError: the process died.
    """
    with make_pool(1, with_main=function.__module__ == "__main__") as pool:
        try:
            return pool.submit(function, *args, **kwargs).result()
        except BrokenProcessPool as error:
            raise child_died() from error


def run_limited(function: Callable[..., R], *args: Any, what: str, seconds: float | None) -> R:
    """The result of `function` run in a process of its own that may fail in any way.

    Its memory is limited, and after `seconds` it is ended, where there is such a limit. `what`
    begins the sentence about a process that did not end well, as in `The model a.tflite`.

    Raises:
        ChildDiedError: it died, ran out of memory, or took longer.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    here, there = context.Pipe(duplex=False)
    kind = ForkServerProcess if function.__module__ == "__main__" else _Forked
    process = kind(target=_answer, args=(there, function, args), daemon=True)
    process.start()
    there.close()
    try:
        if not here.poll(seconds):
            raise ChildDiedError(f"{what} cannot be used: it took longer than {seconds:g} s.")
        answer = here.recv()
    except EOFError as error:
        process.join()
        code = process.exitcode or 0
        death = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        raise ChildDiedError(
            f"{what} cannot be used: the process that ran it died {death}."
        ) from error
    finally:
        process.kill()
        process.join()
        here.close()
    if isinstance(answer, MemoryError):
        raise ChildDiedError(
            f"{what} cannot be used: it needs more than {MEMORY_BYTES // 2**20} MB of memory."
        )
    if isinstance(answer, BaseException):
        raise answer
    return cast(R, answer)


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


def _answer(connection: Connection, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """In the child: send the result, or what was raised."""
    try:
        limit_memory()
        with stderr_discarded():
            answer = function(*args)
    except Exception as error:
        answer = error
    connection.send(answer)


def child_died() -> ChildDiedError:
    """The sentence for a child process that ended without a result."""
    return ChildDiedError(
        "The process that ran the model died, out of memory or by a defect of the interpreter; "
        "check the file, or choose another interpreter with --interpreter."
    )


def last_line(text: str) -> str:
    """The last line that says something: of a traceback, the error."""
    return (text.strip().splitlines() or [""])[-1].strip()
