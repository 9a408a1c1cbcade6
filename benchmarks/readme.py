"""Puts generated text between the markers of a README, and nothing else anywhere."""

from pathlib import Path

from edge_melanoma.artifacts import write_atomically
from edge_melanoma.errors import EdgeMelanomaError


def update_readme(path: Path, *, name: str, lines: list[str]) -> None:
    """Replace what stands between `<!-- name: begin -->` and `<!-- name: end -->` in a file."""
    text = "\n".join(lines) + "\n"
    write_atomically(path, insert_between(path.read_text(encoding="utf-8"), name=name, text=text))


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
