"""Work in child processes of their own, whose death is one sentence and not a crash."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, ParamSpec, TypeVar

from edge_melanoma.errors import ChildDiedError

P = ParamSpec("P")
R = TypeVar("R")


def make_pool(
    workers: int,
    *,
    initializer: Callable[..., None] | None = None,
    initargs: tuple[Any, ...] = (),
) -> ProcessPoolExecutor:
    """A pool of fresh interpreters: a forked child would inherit TensorFlow and its threads."""
    return ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=initializer,
        initargs=initargs,
    )


def run_in_child(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """The result of `function` run in a process of its own; what it raises is raised here.

    Raises:
        ChildDiedError: the process died.
    """
    with make_pool(1) as pool:
        try:
            return pool.submit(function, *args, **kwargs).result()
        except BrokenProcessPool as error:
            raise child_died() from error


def child_died() -> ChildDiedError:
    """The sentence for a child process that ended without a result."""
    return ChildDiedError(
        "The process that ran the model died, out of memory or by a defect of the interpreter; "
        "check the file, or choose another interpreter with --interpreter."
    )


def last_line(text: str) -> str:
    """The last line that says something: of a traceback, the error."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
