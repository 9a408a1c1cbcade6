"""Which pictures there are and what each one shows, read from folders or from a labels.csv."""

import csv
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from edge_melanoma.errors import EdgeMelanomaError

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"}
    | {".heic", ".heif", ".avif"}
)
"""Files of other names are skipped. What is in one of these is not told by its name."""
LABELS_TABLE = "labels.csv"
CLASS_IS_MALIGNANT = {"benign": False, "malignant": True}
SIDE_NAMES = {
    "train": "train",
    "test": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}
# HAM10000 tables call carcinomas "other_malignant": not melanomas, and malignant all the same.
LABEL_IS_MALIGNANT = CLASS_IS_MALIGNANT | {"0": False, "1": True, "other_malignant": True}
ATTRIBUTE_COLUMNS = {
    "age": ("age", "age_approx"),
    "sex": ("sex", "gender"),
    "site": ("site", "localization", "anatom_site_general", "anatom_site_general_challenge"),
    "diagnosis": ("diagnosis", "dx"),
}
"""What a labels.csv may say of the patient, by the names that public tables have for it."""

CLINIC_COLUMNS = ("clinic", "source")
"""Of these the first that says something is a picture's clinic."""

TWIN_COLUMN = re.compile(r"in_(\w+)")
"""Names the file that shows the same photograph in another set."""

ARCHIVE_NAME = re.compile(r"ISIC_\d{7}(?!\d)")
"""A file of such a name is the archive's photograph of that name."""

NOT_A_WORD = re.compile(r"\W+")
DIAGNOSES = {
    "melanoma": "mel",
    "nevus": "nv",
    "naevus": "nv",
    "common_nevus": "nv",
    "atypical_nevus": "nv",
    "basal cell carcinoma": "bcc",
    "actinic keratosis": "akiec",
    "seborrheic keratosis": "bkl",
    "dermatofibroma": "df",
    "vascular lesion": "vasc",
}
"""HAM10000's short words for what other tables write out."""

NOT_STATED = frozenset({"", "unknown", "unk", "nan", "na", "n/a", "none"})
EXPECTED_LAYOUT = (
    "expected the folders benign and malignant, the same inside train and test, "
    "or a labels.csv with the columns file,label[,lesion_id]"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionRecord:
    """One picture of one lesion.

    `image_id` is the file's path relative to its data set, with forward slashes, after the set's
    name and a colon where there are several sets; `side` is the given part (train, validation or
    test) or none; `sha256` is that of the file's bytes, none until they have been read; `dataset`
    names the data set, `clinic` what the table calls the clinic or the source. `cluster` names the
    copies that the picture is one of, none until they have been looked for, or without any.
    `lesion_id`, `patient_id` and `isic_id` mean the same in every set; `same_as` names the same
    photograph in other sets as SET:FILE. `attributes` pairs the names of `ATTRIBUTE_COLUMNS` with
    what the table says in lower case; what it does not say is not among them.
    """

    image_id: str
    path: Path
    is_malignant: bool
    lesion_id: str | None = None
    side: str | None = None
    sha256: str | None = None
    dataset: str | None = None
    cluster: str | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    clinic: str | None = None
    patient_id: str | None = None
    isic_id: str | None = None
    same_as: tuple[str, ...] = ()

    def kin(self) -> tuple[str, ...]:
        """Keys of which pictures of one lesion, one patient or one photograph share at least one.

        The first is the picture's own.
        """
        found = {"bytes": self.sha256, "cluster": self.cluster}
        keys = [f"{kind}:{value}" for kind, value in found.items() if value]
        return (photo_key(self.image_id, self.dataset), *self.named_kin(), *keys)

    def named_kin(self) -> tuple[str, ...]:
        """Those of the keys that a table names."""
        named = {"lesion": self.lesion_id, "patient": self.patient_id, "isic": self.isic_id}
        keys = [f"{kind}:{value}" for kind, value in named.items() if value]
        return (*(f"photo:{same}" for same in self.same_as), *keys)


def read_lesions(folder: Path) -> tuple[LesionRecord, ...]:
    """The pictures of a data set, sorted by image id, not yet opened.

    Reads a labels.csv where there is one, and otherwise class folders, directly below `folder` or
    inside train and test. Names are matched without regard to case.

    Raises:
        EdgeMelanomaError: no such folder, no pictures, a class missing, or an unknown class.
    """
    records = list_lesions(folder)
    for name, is_malignant in CLASS_IS_MALIGNANT.items():
        if not any(record.is_malignant == is_malignant for record in records):
            raise EdgeMelanomaError(
                f"There are no {name} images in {folder}; both classes are needed: "
                f"{EXPECTED_LAYOUT}."
            )
    return records


def list_lesions(folder: Path) -> tuple[LesionRecord, ...]:
    """The same for a data set that may hold one class only."""
    if not folder.is_dir():
        raise EdgeMelanomaError(f"There is no folder {folder}; {EXPECTED_LAYOUT}.")
    table = folder / LABELS_TABLE
    records = _read_table(table) if table.is_file() else _read_folders(folder)
    if not records:
        raise EdgeMelanomaError(f"There are no images in {folder}; {EXPECTED_LAYOUT}.")
    named = (replace(record, dataset=folder.resolve().name) for record in records)
    return tuple(sorted(named, key=lambda record: record.image_id))


def plain_name(dataset: str) -> str:
    """A data set's name as columns write it: `in_melanoma_10605` is of melanoma-10605."""
    return NOT_A_WORD.sub("_", dataset.lower())


def photo_key(image_id: str, dataset: str | None) -> str:
    """By which other sets may name a photograph: its own among `LesionRecord.kin`."""
    # A file may have colons in its name.
    return f"photo:{plain_name(dataset or '')}:{image_id.removeprefix(f'{dataset}:')}"


def count_classes(records: tuple[LesionRecord, ...]) -> tuple[int, int]:
    """Numbers of benign and of malignant pictures."""
    malignant = sum(record.is_malignant for record in records)
    return len(records) - malignant, malignant


def _read_folders(folder: Path) -> list[LesionRecord]:
    subfolders = _visible_folders(folder)
    sides = [sub for sub in subfolders if sub.name.lower() in SIDE_NAMES]
    if not sides:
        return _read_class_folders(folder, data_folder=folder, side=None)
    for sub in subfolders:
        if sub not in sides and any(_image_files(sub)):
            raise EdgeMelanomaError(
                f"The folder {sub} holds images beside train and test; {EXPECTED_LAYOUT}."
            )
    return [
        record
        for sub in sides
        for record in _read_class_folders(
            sub, data_folder=folder, side=SIDE_NAMES[sub.name.lower()]
        )
    ]


def _read_class_folders(folder: Path, *, data_folder: Path, side: str | None) -> list[LesionRecord]:
    records = []
    for sub in _visible_folders(folder):
        if sub.name.lower() not in CLASS_IS_MALIGNANT:
            raise EdgeMelanomaError(
                f"The folder {sub} is neither benign nor malignant; {EXPECTED_LAYOUT}."
            )
        records += [
            LesionRecord(
                image_id=path.relative_to(data_folder).as_posix(),
                path=path,
                is_malignant=CLASS_IS_MALIGNANT[sub.name.lower()],
                side=side,
                isic_id=_archive_id(path),
            )
            for path in _image_files(sub)
        ]
    return records


def names_a_picture(path: Path) -> bool:
    """Whether a file is taken for a picture: by its suffix, and not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def is_passed_over(folder: Path) -> bool:
    """Whether nobody looks into a folder: hidden ones, those of archivers, and links.

    A loop of links would list a picture many times.
    """
    return folder.name.startswith((".", "__")) or folder.is_symlink()


def _visible_folders(folder: Path) -> list[Path]:
    return sorted(
        sub for sub in folder.iterdir() if sub.is_dir() and not sub.name.startswith((".", "__"))
    )


def _image_files(folder: Path) -> Iterator[Path]:
    """Among them folders with the name of a picture, so that the one who reads it refuses it."""
    for parent, folders, names in os.walk(folder):
        paths = [Path(parent, name) for name in (*names, *folders)]
        yield from filter(names_a_picture, paths)
        entered = [path for path in paths[len(names) :] if not names_a_picture(path)]
        folders[:] = [path.name for path in entered if not is_passed_over(path)]


def _read_table(table: Path) -> list[LesionRecord]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
            missing = {"file", "label"} - set(reader.fieldnames)
            if missing:
                raise EdgeMelanomaError(
                    f"{table} lacks the column {' and '.join(sorted(missing))}; "
                    f"expected the header file,label[,lesion_id]."
                )
            records = [_record_of_row(row, table, reader.line_num) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise EdgeMelanomaError(f"{table} is not a UTF-8 CSV file: {error}.") from error
    for image_id, count in Counter(record.image_id for record in records).items():
        if count > 1:
            raise EdgeMelanomaError(
                f"{table} names the file '{image_id}' more than once; expected one row a file."
            )
    return records


def _record_of_row(row: dict[str, str | None], table: Path, line: int) -> LesionRecord:
    label = (row["label"] or "").strip().lower()
    if label not in LABEL_IS_MALIGNANT:
        raise EdgeMelanomaError(
            f"{table} line {line} has the label '{row['label'] or ''}'; "
            f"expected benign or malignant (or 0 or 1)."
        )
    name = Path(word := (row["file"] or "").strip())
    if not name.parts or name.is_absolute() or ".." in name.parts:
        raise EdgeMelanomaError(
            f"{table} line {line} names the file '{word}'; "
            f"expected a path inside the folder of the table."
        )
    stated = {column: (value or "").strip() for column, value in row.items() if column}
    twins = [(TWIN_COLUMN.fullmatch(column), value) for column, value in stated.items() if value]
    return LesionRecord(
        image_id=name.as_posix(),
        path=table.parent / name,
        is_malignant=LABEL_IS_MALIGNANT[label],
        lesion_id=stated.get("lesion_id") or None,
        side=SIDE_NAMES.get(name.parts[0].lower()),
        attributes=_attributes_of(row),
        clinic=next((stated[name] for name in CLINIC_COLUMNS if stated.get(name)), None),
        patient_id=stated.get("patient_id") or None,
        isic_id=stated.get("isic_id") or _archive_id(name),
        same_as=tuple(
            f"{plain_name(twin.group(1))}:{Path(value).as_posix()}" for twin, value in twins if twin
        ),
    )


def _archive_id(file: Path) -> str | None:
    named = ARCHIVE_NAME.match(file.stem)
    return named.group() if named else None


def _attributes_of(row: dict[str, str | None]) -> tuple[tuple[str, str], ...]:
    """Of several columns for one attribute the first that says something."""
    stated = [
        (attribute, (row.get(column) or "").strip().lower())
        for attribute, columns in ATTRIBUTE_COLUMNS.items()
        for column in columns
    ]
    pairs = [(attribute, value) for attribute, value in stated if value not in NOT_STATED]
    told = {attribute: value for attribute, value in reversed(pairs)}
    if "diagnosis" in told:
        told["diagnosis"] = DIAGNOSES.get(told["diagnosis"], told["diagnosis"])
    return tuple(told.items())


def spread(records: tuple[LesionRecord, ...], *, limit: int | None) -> tuple[LesionRecord, ...]:
    """At most `limit` records, evenly spaced in the order of the set."""
    if limit is None or limit >= len(records):
        return records
    return tuple(records[number * len(records) // limit] for number in range(limit))
