"""How long work shows that it is alive: on stderr, so that stdout holds results alone."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")


class Reporter(Protocol):
    """Where a stage says what it is doing."""

    def say(self, text: str) -> None:
        """Show one line."""

    def track(self, items: Iterable[T], *, label: str, total: int) -> Iterator[T]:
        """Pass `items` on and show how many of `total` have gone by."""


class SilentReporter:
    """Says nothing: for callers from Python."""

    def say(self, text: str) -> None:
        """Drop the line."""

    def track(self, items: Iterable[T], *, label: str, total: int) -> Iterator[T]:
        """Pass `items` on."""
        yield from items


class TerminalReporter:
    """Lines and progress bars on stderr."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)

    def say(self, text: str) -> None:
        """Show one line."""
        self._console.print(text, markup=False, soft_wrap=True)

    def track(self, items: Iterable[T], *, label: str, total: int) -> Iterator[T]:
        """Pass `items` on and show how many of `total` have gone by."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        if not self._console.is_terminal:
            self.say(f"{label}: {total}")
            yield from items
            return
        with Progress(*columns, console=self._console) as progress:
            yield from progress.track(items, total=total, description=label)
