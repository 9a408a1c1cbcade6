"""Puts generated text between the markers of a README, and nothing else anywhere."""

from pathlib import Path

from edge_melanoma.machine.files import write_atomically
from edge_melanoma.machine.markdown import insert_between


def update_readme(path: Path, *, name: str, lines: list[str]) -> None:
    """Replace what stands between `<!-- name: begin -->` and `<!-- name: end -->` in a file."""
    text = "\n".join(lines) + "\n"
    write_atomically(path, insert_between(path.read_text(encoding="utf-8"), name=name, text=text))
