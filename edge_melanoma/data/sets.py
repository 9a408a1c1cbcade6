"""Several data sets read as one, those from elsewhere, which files are skipped, and public sets."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from edge_melanoma.data.cards import CARD
from edge_melanoma.data.clinics import find_one_sided
from edge_melanoma.data.image_files import image_files, is_passed_over
from edge_melanoma.data.labels import AS_FOUND, Group, Reading
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.listing import SILENT, list_lesions, read_lesions
from edge_melanoma.errors import EdgeMelanomaError, printable
from edge_melanoma.machine.terminal import Reporter

TABLE_SUFFIX = ".csv"
"""Nobody takes such files for pictures: they, and cards, are not told as skipped."""

EXAMPLES_SHOWN = 3
KAGGLE_PAGE = "https://www.kaggle.com/datasets"
EXTERNAL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""Names stand in file names and as keys of JSON."""


class PublicSet(NamedTuple):
    """A set on Kaggle: its page, and how many images each of its sides has."""

    title: str
    handle: str
    images: Mapping[str, int]


PUBLIC_SETS = {
    "kaggle-melanoma": PublicSet(
        "Melanoma Cancer Image Dataset",
        "bhaveshmittal/melanoma-cancer-dataset",
        MappingProxyType({"train": 11_879, "test": 2_000}),
    ),
}
"""By name; the first is what the original work was trained on."""


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


def name_external_sets(words: Sequence[str], reading: Reading = AS_FOUND) -> dict[str, Path]:
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
        list_lesions(Path(folder), reading.of(name))
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


def read_data_sets(
    folders: Mapping[str, Path], reading: Reading = AS_FOUND, *, reporter: Reporter = SILENT
) -> tuple[LesionRecord, ...]:
    """The pictures of all sets, each of both classes, sorted by image id.

    Of one set the image ids are paths relative to it. Of several they begin with `NAME:`.

    Raises:
        EdgeMelanomaError: as `read_lesions` does, or no patient is known and `reading` wants them.
    """
    records = name_records(
        {
            name: read_lesions(folder, reading.of(None, name), reporter=reporter)
            for name, folder in folders.items()
        }
    )
    if reading.group is Group.PATIENT and not any(record.patient_id for record in records):
        raise EdgeMelanomaError(
            "--group patient needs a table with the column patient_id, which none of the data sets "
            "has; leave it out, or give the table with --labels FILE."
        )
    return records


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

    They have no name of a picture, are hidden, stand outside the class folders, or are in no table.
    Line breaks and stray bytes of names are escaped; what is in a folder that is passed over is not
    listed.
    """
    known = {record.path for record in records}
    others = (path for path in _walk(folder) if path not in known)
    skipped = (path for path in others if path.name != CARD and path.suffix.lower() != TABLE_SUFFIX)
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


def fetch_set(name: str, folder: Path) -> str:
    """Download a public set into a new or empty folder, and say what is there.

    Where images are in `folder` already, they are counted only.

    Raises:
        EdgeMelanomaError: no such set, no way to download it, or not all of its images are there.
    """
    if name not in PUBLIC_SETS:
        raise EdgeMelanomaError(f"--set {name} is not known; expected {', '.join(PUBLIC_SETS)}.")
    wanted = PUBLIC_SETS[name]
    page = f"{KAGGLE_PAGE}/{wanted.handle}"
    if not folder.is_dir() or not any(image_files(folder)):
        try:
            from kagglehub import dataset_download

            dataset_download(wanted.handle, output_dir=str(folder))
        except Exception as error:
            # Without the extra kaggle, network or account these are errors of many packages.
            raise EdgeMelanomaError(
                f"'{wanted.title}' cannot be downloaded ({type(error).__name__}): it needs the "
                f"extra kaggle and a network. Or open {page}, download archive.zip, unpack it into "
                f"{folder} and repeat this command, which then counts the images."
            ) from error
    counts = Counter(record.side for record in list_lesions(folder))
    told = ", ".join(f"{counts[side]} {side}" for side in wanted.images)
    if any(counts[side] != count for side, count in wanted.images.items()):
        expected = ", ".join(f"{count} {side}" for side, count in wanted.images.items())
        raise EdgeMelanomaError(
            f"{folder} has {told} images; expected {expected} of '{wanted.title}': empty the "
            f"folder and fetch them again, or look at {page} for a newer version."
        )
    return f"{told} images of '{wanted.title}' in {folder}"


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        passed = {name for name in folders if is_passed_over(Path(parent, name))}
        yield from (Path(parent, name) for name in (*names, *passed))
        folders[:] = [name for name in folders if name not in passed]
