"""Pieces of a Markdown page: text that stays text, tables, and parts between markers."""

import html
import re
from collections.abc import Sequence

from edge_melanoma.errors import EdgeMelanomaError

DASH = "-"
_MARKS = re.compile(r"[\\`*\[\]|~]|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown takes for its own; an underscore inside a word is none."""


def text_of(value: object) -> str:
    """`value` in one line in which nothing is taken for Markdown, HTML or the end of a cell."""
    shown = html.escape(" ".join(str(value).split()), quote=False)
    return _MARKS.sub(r"\\\g<0>", shown)


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


def insert_between(readme: str, *, name: str, text: str) -> str:
    """The README with `text` between the markers of `name`.

    Raises:
        EdgeMelanomaError: it has not both markers, in this order.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found_begin, rest = readme.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise EdgeMelanomaError(f"The README lacks the line {begin} or after it {end}.")
    return f"{before}{begin}\n{text}{end}{after}"
