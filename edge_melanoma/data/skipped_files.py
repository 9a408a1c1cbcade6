"""What lies in the folder of a data set and is not looked at: told, so that nothing is missed."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from edge_melanoma.data.dataset_card import CARD
from edge_melanoma.data.lesions import LABELS_TABLE, LesionRecord, is_passed_over
from edge_melanoma.errors import printable
from edge_melanoma.machine.progress import Reporter

COMPANIONS = frozenset({LABELS_TABLE, CARD})
"""Files of the data set itself, at its top."""

EXAMPLES_SHOWN = 3


def list_skipped(folder: Path, records: Iterable[LesionRecord]) -> tuple[str, ...]:
    """Files that are none of `records`, and folders that nobody looks into, relative to `folder`.

    They have no name of a picture, are hidden, stand outside the class folders, or are not in the
    labels.csv. Line breaks and stray bytes of names are escaped; what is in a folder that is passed
    over is not listed.
    """
    known = {folder / name for name in COMPANIONS} | set(_places_of(records))
    skipped = (path for path in _walk(folder) if path not in known)
    return tuple(sorted(printable(path.relative_to(folder).as_posix()) for path in skipped))


def tell_skipped(
    folders: Mapping[str, Path], records: Iterable[LesionRecord], *, reporter: Reporter
) -> None:
    """A line for each data set in which files are skipped: how many, and the first of them."""
    found = tuple(records)
    for name, folder in folders.items():
        skipped = list_skipped(folder, found)
        if skipped:
            shown = ", ".join(skipped[:EXAMPLES_SHOWN])
            more = len(skipped) - EXAMPLES_SHOWN
            rest = f" and {more} more" if more > 0 else ""
            plural = "file that is" if len(skipped) == 1 else "files that are"
            reporter.say(
                f"Skipped {len(skipped)} {plural} not taken for pictures in {name}: {shown}{rest}"
            )


def _places_of(records: Iterable[LesionRecord]) -> Iterator[Path]:
    """The files of pictures; of packed ones the shards, and folders that may be links elsewhere."""
    for record in records:
        if isinstance(record.path, Path):
            yield record.path
        else:
            yield record.path.path
            yield record.path.path.parent


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)
        passed = {name for name in folders if is_passed_over(Path(parent, name))}
        yield from (Path(parent, name) for name in passed)
        folders[:] = [name for name in folders if name not in passed]
