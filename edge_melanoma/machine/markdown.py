"""Pages from templates, and pieces of Markdown: text that stays text, tables, marked parts."""

import html
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_melanoma.errors import EdgeMelanomaError, printable

if TYPE_CHECKING:
    # Most commands write no page, and start without Jinja.
    from jinja2 import Environment

DASH = "-"
_MARKS = re.compile(r"[\\`*\[\]|~]|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown takes for its own; an underscore inside a word is none."""


def template_environment(folder: Path, **options: Any) -> "Environment":
    """The templates in `folder`, in which a name without a value is an error; `options` of Jinja.

    Tags on lines of their own leave nothing behind.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    settings: dict[str, Any] = {"finalize": _plain, "trim_blocks": True, "lstrip_blocks": True}
    return Environment(
        loader=FileSystemLoader(folder), undefined=StrictUndefined, **settings | options
    )


def _plain(value: object) -> object:
    """What a template shows: of text, what would steer a terminal or a page, as escapes.

    What is markup already, a figure or a table, is left as it is.
    """
    if type(value) is not str:
        return value
    return "\n".join(map(printable, value.split("\n")))


def text_of(value: object) -> str:
    """`value` in one line in which nothing is taken for Markdown, HTML or the end of a cell."""
    shown = html.escape(printable(" ".join(str(value).split())), quote=False)
    return _MARKS.sub(r"\\\g<0>", shown)


def table_of(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table whose cells are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def share_of(value: float | None, interval: Sequence[float] | None = None) -> str:
    """A share with three digits and its interval, or a dash."""
    if value is None:
        return DASH
    around = "" if interval is None else f" ({interval[0]:.3f} to {interval[1]:.3f})"
    return f"{value:.3f}{around}"


def insert_between(readme: str, *, name: str, text: str) -> str:
    """The README with `text` between the markers of `name`."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found_begin, rest = readme.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise EdgeMelanomaError(f"The README lacks the line {begin} or after it {end}.")
    return f"{before}{begin}\n{text}{end}{after}"
