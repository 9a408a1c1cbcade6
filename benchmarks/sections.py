"""A further table of a parity report: the same for the terminal, Markdown, HTML and JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSection:
    """Cells to show; `key` and `content` are the entry of parity.json, where it is one."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str
    key: str | None = None
    content: Any = None

    def as_dict(self) -> dict[str, Any]:
        """What shows it, as JSON."""
        return {
            "title": self.title,
            "columns": list(self.columns),
            "rows": [list(row) for row in self.rows],
            "note": self.note,
        }


def contents_of(sections: Sequence[ReportSection]) -> dict[str, Any]:
    """What the sections add to parity.json."""
    return {section.key: section.content for section in sections if section.key is not None}
