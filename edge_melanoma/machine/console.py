"""Where results are printed: stdout, as wide as the terminal or as a log can take."""

from rich.console import Console


def results_console(*, width: int) -> Console:
    """A console as wide as the terminal; `width` columns where stdout is none."""
    return Console(width=None if Console().is_terminal else width)
