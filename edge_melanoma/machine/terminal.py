"""What a person sees: progress on stderr, so that stdout holds results alone, and their console."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 20.0
"""Where stderr is no terminal, a log: short work leaves no line in it."""

T = TypeVar("T")


class Reporter:
    """Where a stage says what it is doing."""

    def say(self, text: str) -> None:
        """Show one line."""

    def track(self, items: Iterable[T], *, label: str, total: int) -> Iterator[T]:
        """Pass `items` on and show how many of `total` have gone by."""
        yield from items


class SilentReporter(Reporter):
    """Says nothing: for callers from Python."""


class TerminalReporter(Reporter):
    """Lines and progress bars on stderr; in a log, a line every 20 seconds."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)

    def say(self, text: str) -> None:
        """Show one line."""
        self._console.print(text, markup=False, soft_wrap=True)

    def track(self, items: Iterable[T], *, label: str, total: int) -> Iterator[T]:
        """Pass `items` on and show how many of `total` have gone by."""
        if not self._console.is_terminal:
            yield from self._track_in_lines(items, label=label, total=total)
            return
        text = TextColumn("{task.description}")
        columns = (text, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self._console) as progress:
            yield from progress.track(items, total=total, description=label)

    def _track_in_lines(self, items: Iterable[T], *, label: str, total: int) -> Iterator[T]:
        # The first item takes the opening of a model with it: the pace is that of the others.
        first = last = time.monotonic()
        for number, item in enumerate(items, start=1):
            yield item
            now = time.monotonic()
            first = now if number == 1 else first
            if now - last >= SECONDS_BETWEEN_LINES:
                last = now
                left = (now - first) / max(1, number - 1) * (total - number)
                told = f", about {left:.0f} s left" if number > 1 else ""
                self.say(f"{label}: {number} of {total}{told}")


def results_console(*, width: int) -> Console:
    """A console as wide as the terminal; `width` columns where stdout is none."""
    return Console(width=None if Console().is_terminal else width)


def print_lines(console: Console, *lines: str) -> None:
    """Print text as it is: no markup, no colours, and no line broken but by the terminal."""
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
