"""What a person sees: progress on stderr; on stdout results alone, in tables that cut no number."""

import os
import shlex
import time
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

from edge_melanoma.errors import printable

SECONDS_BETWEEN_LINES = 20.0
"""Where stderr is no terminal, a log: short work leaves no line in it."""
NARROWEST, WIDE, FEW = 80, 120, 6
"""Columns of a terminal below which a row becomes a block, and below which tables are narrow."""
FRAME = 3
"""A column's border and the blanks beside its cells."""

T = TypeVar("T")


class Verbosity(IntEnum):
    """How much of its work a command shows on stderr."""

    QUIET, NORMAL, VERBOSE = range(3)


_VERBOSITY = "EDGE_MELANOMA_VERBOSITY"
"""A variable of the environment: child processes have it too."""
_started = time.monotonic()


def set_verbosity(value: Verbosity) -> None:
    """Choose it for this process and those that it starts."""
    os.environ[_VERBOSITY] = value.name


def _verbosity() -> Verbosity:
    return Verbosity[os.environ.get(_VERBOSITY, Verbosity.NORMAL.name)]


def is_verbose() -> bool:
    """Whether --verbose was given."""
    return _verbosity() is Verbosity.VERBOSE


def say_more(text: str) -> None:
    """A line on stderr where --verbose was given, with the seconds since the start."""
    if is_verbose():
        line = f"[{time.monotonic() - _started:.1f} s] {text}"
        print_lines(PlainConsole(stderr=True), line)


def shown(text: str) -> str:
    """Text for a terminal: lines, and what else would steer it as escapes."""
    return "\n".join(map(printable, text.split("\n")))


class PlainConsole(Console):
    """A console to which a name is text: no markup, no emoji by their codes, no colours in it."""

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Whatever is printed, the cells of tables too, comes by here."""
        return super().render_str(shown(text), **options)


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
        self._console = PlainConsole(stderr=True)

    def say(self, text: str) -> None:
        """Show one line, with the seconds since the start where --verbose was given."""
        if is_verbose():
            say_more(text)
        elif _verbosity() is Verbosity.NORMAL:
            print_lines(self._console, text)

    def track(self, items: Iterable[T], *, label: str, total: int) -> Iterator[T]:
        """Pass `items` on and show how many of `total` have gone by."""
        if _verbosity() is Verbosity.QUIET:
            yield from items
        elif self._console.is_terminal:
            yield from self._track_in_bar(items, label=label, total=total)
        else:
            yield from self._track_in_lines(items, label=label, total=total)
        say_more(f"{label}: {total} done")

    def _track_in_bar(self, items: Iterable[T], *, label: str, total: int) -> Iterator[T]:
        text = TextColumn("{task.description}", markup=False)
        bars = (BarColumn(bar_width=24), MofNCompleteColumn())
        columns = (text, *bars, TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self._console) as progress:
            yield from progress.track(items, total=total, description=shown(label))

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
    """A console as wide as the terminal, or as COLUMNS says; else `width` columns."""
    told = Console().is_terminal or os.environ.get("COLUMNS", "").isdigit()
    return PlainConsole(width=None if told else width)


def print_table(console: Console, table: Table) -> None:
    """Print a table without cutting or wrapping a cell, however narrow the terminal.

    Columns that do not fit go into a further table below, behind the first column again; in less
    than 120 columns of the terminal a table has at most six. In less than 80, or where a cell does
    not fit, each row is a block of lines.
    """
    cells = [max(map(_width, column.cells), default=0) for column in table.columns]
    heads = [_plain(column.header) for column in table.columns]
    whole = [max(cell, len(head)) for cell, head in zip(cells, heads, strict=True)]
    words = [max(cell, *map(len, head.split()), 1) for cell, head in zip(cells, heads, strict=True)]
    parts, widths = _places(whole, console.width), whole
    if len(parts) != 1:
        parts, widths = _places(words, console.width), words
    if console.width < NARROWEST or not parts:
        _print_blocks(console, table)
        return
    for number, places in enumerate(parts):
        part = Table(
            *(_sized(table.columns[place], widths[place]) for place in places),
            title=table.title if number == 0 else None,
            caption=table.caption if len(parts) == 1 else None,
        )
        rows = zip(*(list(table.columns[place].cells) for place in places), strict=True)
        for row, style in zip(rows, table.rows, strict=True):
            part.add_row(*row, end_section=style.end_section)
        console.print(part)
    if table.caption and len(parts) > 1:
        console.print(table.caption, style="table.caption")


def _places(widths: Sequence[int], room: int) -> list[list[int]]:
    """Which columns stand in each table, the first in all; none where two of them do not fit."""
    most = FEW if room < WIDE else len(widths)
    parts = [[0]]
    for place in range(1, len(widths)):
        taken = [*parts[-1], place]
        if len(taken) > most or sum(widths[one] + FRAME for one in taken) + 1 > room:
            taken = [0, place]
            parts.append(taken)
        else:
            parts[-1] = taken
        if sum(widths[one] + FRAME for one in taken) + 1 > room:
            return []
    return [part for part in parts if len(part) > 1 or len(widths) == 1]


def _sized(column: Column, width: int) -> Column:
    return Column(column.header, justify=column.justify, width=width, overflow="fold")


def _print_blocks(console: Console, table: Table) -> None:
    if table.title:
        console.print(table.title)
    heads = [_plain(column.header) for column in table.columns]
    room = max(map(len, heads))
    for row in zip(*(map(_plain, column.cells) for column in table.columns), strict=True):
        first, *others = (cell.replace("\n", ", ") for cell in row)
        lines = [f"  {head:<{room}}  {cell}" for head, cell in zip(heads[1:], others, strict=True)]
        for line in [first, *lines]:
            console.print(line)
    if table.caption:
        console.print(table.caption)


def _plain(cell: object) -> str:
    return cell.plain if isinstance(cell, Text) else shown(str(cell))


def _width(cell: object) -> int:
    return max((Text(line).cell_len for line in _plain(cell).splitlines()), default=0)


def next_lines(*places: object, command: Iterable[object] = (), word: str = "Wrote") -> list[str]:
    """How a command ends: where its files are, and what to run next, each to be pasted whole."""
    lines = [f"{word:<8}{shlex.quote(str(place))}" for place in places if place is not None]
    words = shlex.join(map(str, command))
    return [*lines, *([f"{'Next':<8}edge-melanoma {words}"] if words else [])]


def print_lines(console: Console, *lines: str) -> None:
    """Print text as it is: no markup, no colours, and no line broken but by the terminal."""
    for line in lines:
        console.print(line, soft_wrap=True)
