"""A table of a parity report: the same for the terminal, Markdown, HTML and JSON."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Column = tuple[str, str | Callable[[Any], str]]
"""The head of a column, and its cell: a function of what a row is of, or a format of it as {0}."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSection:
    """Cells to show; `key` and `content` are the entry of parity.json, where it is one."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str
    key: str | None = None
    content: Any = None

    def as_dict(self) -> dict[str, Any]:
        """What shows it, as JSON."""
        return {name: getattr(self, name) for name in ("title", "columns", "rows", "note")}


def rows_of(columns: Sequence[Column], items: Iterable[Any]) -> tuple[tuple[str, ...], ...]:
    """A row of cells for each of `items`."""
    return tuple(
        tuple(cell.format(item) if isinstance(cell, str) else cell(item) for _, cell in columns)
        for item in items
    )


def section_of(
    title: str,
    columns: Sequence[Column],
    items: Iterable[Any],
    *,
    note: str,
    key: str | None = None,
    content: Any = None,
) -> ReportSection:
    """A table with a row for each of `items`."""
    return ReportSection(
        title=title,
        columns=tuple(head for head, _ in columns),
        rows=rows_of(columns, items),
        note=note,
        key=key,
        content=content,
    )


def stored_sections(parity: Mapping[str, Any]) -> list[ReportSection]:
    """The tables that stand in a parity.json."""
    return [ReportSection(**table) for table in parity["tables"]]
