"""Pieces of a Markdown page: text that stays text, and tables."""

from collections.abc import Sequence

DASH = "-"


def text_of(value: object) -> str:
    """`value` in one line in which nothing is taken for Markdown, HTML or the end of a cell."""
    shown = " ".join(str(value).split())
    for mark in "\\`*_[]|":
        shown = shown.replace(mark, f"\\{mark}")
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def table_of(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table whose cells are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def share_of(value: float | None, interval: Sequence[float] | None = None) -> str:
    """A share with three digits and its interval, or a dash."""
    if value is None:
        return DASH
    if interval is None:
        return f"{value:.3f}"
    return f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"
