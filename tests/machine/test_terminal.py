"""Progress in a log, and tables that no terminal is too narrow for."""

import re
from io import StringIO

import pytest
from rich.console import Console
from rich.table import Table

from edge_melanoma.machine import terminal
from edge_melanoma.machine.terminal import TerminalReporter, print_table, results_console


def test_a_log_tells_how_many_and_how_many_seconds_are_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The start, then each item as it has gone by: 5 s for the first, 3 s for each of the others.
    clock = iter([0.0, 5.0, 8.0, 11.0, 14.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    monkeypatch.setattr(terminal, "SECONDS_BETWEEN_LINES", 4.0)
    assert list(TerminalReporter().track("abcd", label="Reading", total=4)) == list("abcd")
    assert capsys.readouterr().err.splitlines() == [
        "Reading: 1 of 4",
        "Reading: 3 of 4, about 3 s left",
    ]


HEADS = ("model", "recall drop (95 % interval)", "upper 95 %", *(f"figure {n}" for n in range(8)))
ROWS = [
    (mode, "+0.0026 (-0.0035 .. +0.0087)", "0.0077", *(f"{row}.{n:04d}" for n in range(8)))
    for row, mode in enumerate(("float32", "int8-qat"))
]


def printed(width: int) -> str:
    table = Table(title="What was found", caption="A note that explains 0.9876 of it.")
    for number, head in enumerate(HEADS):
        table.add_column(head, justify="right" if number else "left")
    for row in ROWS:
        table.add_row(*row)
    stream = StringIO()
    print_table(Console(file=stream, width=width), table)
    return stream.getvalue()


def tables_of(text: str) -> list[list[list[str]]]:
    """The body's cells of each table."""
    bodies = re.findall(r"┡[^┩]*┩\n(.*?)└", text, flags=re.DOTALL)
    return [
        [[cell.strip() for cell in line.strip("│").split("│")] for line in body.splitlines()]
        for body in bodies
    ]


@pytest.mark.parametrize("width", [80, 100, 119, 120, 200])
def test_every_cell_is_whole_and_stands_behind_its_rows_name(width: int) -> None:
    text = printed(width)
    assert max(map(len, text.splitlines())) <= width
    tables = tables_of(text)
    for number, row in enumerate(ROWS):
        assert {table[number][0] for table in tables} == {row[0]}
        assert [cell for table in tables for cell in table[number][1:]] == list(row[1:])
    assert max(len(row) for table in tables for row in table) <= (6 if width < 120 else 99)
    assert (text.count("What was found"), text.count("A note that explains 0.9876")) == (1, 1)


def test_a_wide_terminal_has_one_table() -> None:
    assert [len(tables_of(printed(width))) for width in (200, 100)] == [1, 2]


@pytest.mark.parametrize("width", [79, 50])
def test_a_narrow_terminal_has_a_block_a_row(width: int) -> None:
    lines = printed(width).splitlines()
    assert lines[:3] == [
        "What was found",
        "float32",
        "  recall drop (95 % interval)  +0.0026 (-0.0035 .. +0.0087)"[:width].rstrip(),
    ]
    for row in ROWS:
        assert all(cell in printed(width) for cell in row[2:])


def test_a_cell_that_does_not_fit_makes_blocks() -> None:
    table = Table("file", "score")
    table.add_row("a" * 90, "0.1234")
    stream = StringIO()
    print_table(Console(file=stream, width=100), table)
    assert stream.getvalue().split() == ["a" * 90, "score", "0.1234"]


def test_columns_count_where_stdout_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert results_console(width=160).width == 160
    monkeypatch.setenv("COLUMNS", "90")
    assert results_console(width=160).width == 90
