"""Work that is done ahead of whoever takes its results, in order and without piling up."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 64
"""Tasks in hand at once: far more than any machine has cores, and next to no memory."""


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
