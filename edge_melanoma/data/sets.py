"""Several data sets read as one, those from elsewhere, and which of their files are skipped."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edge_melanoma.data.cards import CARD
from edge_melanoma.data.clinics import find_one_sided
from edge_melanoma.data.lesions import LABELS_TABLE, LesionRecord, is_passed_over, read_lesions
from edge_melanoma.errors import EdgeMelanomaError, printable
from edge_melanoma.machine.terminal import Reporter

COMPANIONS = frozenset({LABELS_TABLE, CARD})
"""Files of the data set itself, at its top."""
EXAMPLES_SHOWN = 3
EXTERNAL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""Names stand in file names and as keys of JSON."""


def name_folders(folders: Sequence[Path]) -> dict[str, Path]:
    """The data sets by name, which is that of the folder.

    Raises:
        EdgeMelanomaError: two folders have the same name.
    """
    named: dict[str, Path] = {}
    for folder in folders:
        path = folder.resolve()
        if named.setdefault(path.name, path) != path:
            raise EdgeMelanomaError(
                f"The data sets {named[path.name]} and {path} have the same name; "
                f"rename the folder of one, as images are told apart by the name of their set."
            )
    if len(named) < len(folders):
        raise EdgeMelanomaError("A data set is given more than once; give it once.")
    return named


def name_external_sets(words: Sequence[str]) -> dict[str, Path]:
    """The data sets of `--external NAME=DIR`, by name; each is looked into, so that it can be read.

    Raises:
        EdgeMelanomaError: not of this form, a name that stands twice, or a folder without pictures.
    """
    named: dict[str, Path] = {}
    for word in words:
        name, equals, folder = word.partition("=")
        if not equals or not name or not folder:
            raise EdgeMelanomaError(
                f"--external {word} is not NAME=DIR; expected a name and the folder of a data set, "
                f"such as --external clinic=DIR."
            )
        if not EXTERNAL_NAME.fullmatch(name):
            raise EdgeMelanomaError(
                f"--external {word} has the name '{name}'; expected letters, digits, dots, dashes "
                f"and underscores, with a letter or digit first."
            )
        if name in named:
            raise EdgeMelanomaError(
                f"--external names '{name}' twice; give each data set a name of its own."
            )
        read_lesions(Path(folder))
        named[name] = Path(folder)
    return named


def refuse_training_sets(external: Mapping[str, Path], training: Mapping[str, Path]) -> None:
    """A set that a run is trained on, or the name of one, is not external.

    Raises:
        EdgeMelanomaError: such a name or folder.
    """
    trained_on = {folder.resolve() for folder in training.values()}
    for name, folder in external.items():
        if name in training:
            raise EdgeMelanomaError(
                f"--external names '{name}', which is a data set that is trained on; "
                f"choose another name."
            )
        if folder.resolve() in trained_on:
            raise EdgeMelanomaError(
                f"--external {name}={folder} is trained on with --data; "
                f"give a data set from elsewhere."
            )


def read_data_sets(folders: Mapping[str, Path]) -> tuple[LesionRecord, ...]:
    """The pictures of all sets, each of both classes, sorted by image id.

    Of one set the image ids are paths relative to it. Of several they begin with `NAME:`.

    Raises:
        EdgeMelanomaError: as `read_lesions` does.
    """
    return name_records({name: read_lesions(folder) for name, folder in folders.items()})


def name_records(sets: Mapping[str, Sequence[LesionRecord]]) -> tuple[LesionRecord, ...]:
    """The pictures of all sets under the names that `read_data_sets` gives them."""
    several = len(sets) > 1
    records = [
        replace(
            record,
            image_id=f"{name}:{record.image_id}" if several else record.image_id,
            dataset=name,
        )
        for name, members in sets.items()
        for record in members
    ]
    return tuple(sorted(records, key=lambda record: record.image_id))


def leave_out_one_sided(
    records: tuple[LesionRecord, ...], *, reporter: Reporter
) -> tuple[LesionRecord, ...]:
    """The records without those that `find_one_sided` names, and a line for each kind of these."""
    left_out: set[str] = set()
    for (dataset, source, is_malignant), members in find_one_sided(records).items():
        left_out |= {record.image_id for record in members}
        name, other = ("malignant", "benign") if is_malignant else ("benign", "malignant")
        reporter.say(
            f"Left out: {len(members)} {name} images of {source} in {dataset}, which has no "
            f"{other} ones of it, beside a set that has both"
        )
    return tuple(record for record in records if record.image_id not in left_out)


def list_skipped(folder: Path, records: Iterable[LesionRecord]) -> tuple[str, ...]:
    """Files that are none of `records`, and folders that nobody looks into, relative to `folder`.

    They have no name of a picture, are hidden, stand outside the class folders, or are not in the
    labels.csv. Line breaks and stray bytes of names are escaped; what is in a folder that is passed
    over is not listed.
    """
    known = {folder / name for name in COMPANIONS} | {record.path for record in records}
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
            more = len(skipped) - EXAMPLES_SHOWN
            rest = f" and {more} more" if more > 0 else ""
            plural = "file that is" if len(skipped) == 1 else "files that are"
            reporter.say(
                f"Skipped {len(skipped)} {plural} not taken for pictures in {name}: "
                f"{', '.join(skipped[:EXAMPLES_SHOWN])}{rest}"
            )


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        passed = {name for name in folders if is_passed_over(Path(parent, name))}
        yield from (Path(parent, name) for name in (*names, *passed))
        folders[:] = [name for name in folders if name not in passed]
