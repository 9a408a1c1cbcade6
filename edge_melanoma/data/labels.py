"""How pictures are told to be malignant: tables as public sets have them, and a person's options.

A layout of a table is a row of `LAYOUTS`; a new one is another row.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from edge_melanoma.errors import EdgeMelanomaError, printable
from edge_melanoma.machine.schemas import LARGEST_LIST_BYTES, read_bounded

DELIMITERS = ",;\t|"
"""PH2's own text file has two bars between its columns: every other cell is empty."""

HEADER_LINES = 20
"""The header is one of the first so many lines: PH2's sheet begins with a legend."""

MARKS = frozenset({"1", "1.0", "x", "true"})
"""What stands in the column of a class that a picture has."""


class Layout(NamedTuple):
    """Columns by name, in lower case, and what they mean.

    `classes` state the class, the broadest first; `words` are for cells that state it by a number.
    Where each class has a column of its own, `marked` names these, and `unmarked` is the class of a
    picture without a mark. `malignant` are the classes that count as such where there is no doubt;
    otherwise the first class must be benign or malignant, or 0 or 1, or a person says which count.
    """

    name: str
    file: str
    classes: tuple[str, ...] = ()
    words: Mapping[str, str] = MappingProxyType({})
    marked: tuple[str, ...] = ()
    unmarked: str = ""
    malignant: tuple[str, ...] = ()
    clinics: tuple[str, ...] = ("clinic", "source")

    @property
    def columns(self) -> tuple[str, ...]:
        """Those by which a table is known to be of this layout."""
        return (self.file, *(self.marked[:2] or self.classes[:1]))


ONE_HOT = ("mel", "nv", "bcc", "ak", "akiec", "bkl", "df", "vasc", "scc", "unk")
LEVELS = ("diagnosis_1", "diagnosis_2", "diagnosis_3", "diagnosis_4", "diagnosis_5")
PH2_CLASSES = ("common nevus", "atypical nevus", "melanoma")
PH2_WORDS = MappingProxyType(dict(zip("012", PH2_CLASSES, strict=True)))
OWN = Layout("own tables", "file", ("label",))
LAYOUTS = (
    OWN,
    Layout("HAM10000", "image_id", ("dx",)),
    Layout("ISIC 2018 and 2019", "image", marked=ONE_HOT),
    Layout("SIIM and ISIC 2020", "image_name", ("target", "diagnosis")),
    Layout(
        "ISIC 2017",
        "image_id",
        marked=("melanoma", "seborrheic_keratosis"),
        unmarked="nevus",
        malignant=("mel",),
    ),
    Layout("ISIC 2017, melanoma alone", "image_id", ("melanoma",)),
    Layout("ISIC Archive", "isic_id", LEVELS),
    Layout("ISIC Archive until 2024", "isic_id", ("benign_malignant", "diagnosis")),
    Layout("ISIC 2024", "isic_id", ("target",)),
    Layout("PH2's sheet", "image name", marked=PH2_CLASSES, malignant=("mel",)),
    Layout("PH2's text", "name", ("clinical diagnosis",), words=PH2_WORDS, malignant=("mel",)),
    Layout("derm7pt", "derm", ("diagnosis",), clinics=()),  # its `clinic` is another photograph
)
CLASS_FOLDERS = Layout("class folders", "")
"""For classes that no table states."""

KIN = "lesions or patients"
KIN_LAYOUTS = tuple(
    Layout(KIN, file, (column,))
    for file in dict.fromkeys(layout.file for layout in LAYOUTS)
    for column in ("lesion_id", "patient_id")
)
"""Tables that state no class, beside one that does."""

CLASS_IS_MALIGNANT = {"benign": False, "malignant": True}
# HAM10000 tables call carcinomas "other_malignant": not melanomas, and malignant all the same.
LABEL_IS_MALIGNANT = CLASS_IS_MALIGNANT | {"0": False, "1": True, "other_malignant": True}

DIAGNOSES = {
    "melanoma": "mel",
    "melanoma metastasis": "mel",
    "nevus": "nv",
    "naevus": "nv",
    "common nevus": "nv",
    "atypical nevus": "nv",
    "basal cell carcinoma": "bcc",
    "actinic keratosis": "akiec",
    "solar or actinic keratosis": "akiec",
    "ak": "akiec",
    "squamous cell carcinoma": "scc",
    "seborrheic keratosis": "bkl",
    "pigmented benign keratosis": "bkl",
    "dermatofibroma": "df",
    "vascular lesion": "vasc",
    "1.0": "1",
    "0.0": "0",
}
"""HAM10000's short words for what other tables write out."""


NOT_STATED = frozenset({"", "unknown", "unk", "nan", "na", "n/a", "none"})
UNDECIDED = NOT_STATED | {"indeterminate", "indeterminate/benign", "indeterminate/malignant"}
"""Classes of which nobody knows whether they are malignant."""


class Group(StrEnum):
    """Whose pictures never stand on two sides: those of a lesion, or of a patient too."""

    LESION = "lesion"
    PATIENT = "patient"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a person says that data sets are to be read.

    `tables` pairs each file of labels with the name of the set that it is of; one without a name is
    of the sets that are trained or judged on, and not of external ones. `malignant` names classes.
    """

    tables: tuple[tuple[str | None, Path], ...] = ()
    malignant: tuple[str, ...] = ()
    group: Group | None = None

    def of(self, *owners: str | None) -> "Reading":
        """With the tables of these owners alone, as it is for a set of one of these names."""
        chosen = [path for owner, path in self.tables if owner in owners]
        return replace(self, tables=tuple((None, path) for path in chosen))

    def as_dict(self) -> dict[str, Any]:
        """For a run's manifest."""
        tables = [[owner, str(path.resolve())] for owner, path in self.tables]
        return {"labels": tables, "malignant": list(self.malignant), "group": self.group}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any] | None) -> "Reading":
        """What `as_dict` gave; without it, as runs were read that have none."""
        if told is None:
            return cls()
        return cls(
            tables=tuple((owner, Path(path)) for owner, path in told["labels"]),
            malignant=tuple(told["malignant"]),
            group=told["group"] and Group(told["group"]),
        )


AS_FOUND = Reading()
"""By the sets' own tables and folders."""


def diagnosis_of(word: str) -> str:
    """The short word for a diagnosis, in lower case; of others the word itself."""
    lower = word.strip().lower()
    return DIAGNOSES.get(lower.replace("_", " "), lower)


def names_of(classes: Sequence[str]) -> frozenset[str]:
    """By which a person may name classes that read as `Melanoma, NOS` or `melanoma (in situ)`."""
    parts = [part for text in classes for part in (text, *re.split(r"[,()]", text))]
    return frozenset(map(diagnosis_of, filter(str.strip, parts)))


class Stated(NamedTuple):
    """What is said of one picture: its name or id, its classes, and all cells by column.

    `place` is where, for a sentence.
    """

    name: str
    classes: tuple[str, ...]
    cells: Mapping[str, str]
    place: str

    @property
    def first_class(self) -> str:
        """The broadest, by its short word."""
        return diagnosis_of(self.classes[0]) if self.classes else ""


def read_table(path: Path) -> tuple[Layout, list[Stated]]:
    """What a CSV file in UTF-8 states, separated by commas, semicolons, tabs or bars.

    Raises:
        EdgeMelanomaError: it cannot be read, or is of no known layout.
    """
    try:
        text = read_bounded(path, most=LARGEST_LIST_BYTES).decode("utf-8-sig")
        layout, delimiter, above = _find_header(path, text)
        reader = csv.reader(io.StringIO(text), delimiter=delimiter)
        *_, header = islice(reader, above + 1)
        columns = [cell.strip().lower() for cell in header]
        rows = [
            _read_row(dict(zip(columns, line, strict=False)), layout, f"{path} line {number}")
            for line in reader
            if (number := reader.line_num) and any(map(str.strip, line))
        ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise EdgeMelanomaError(f"{path} is not a UTF-8 CSV file: {error}.") from error
    # Public tables end in notes and legends.
    return layout, [row for row in rows if row.name or layout is OWN]


def _find_header(path: Path, text: str) -> tuple[Layout, str, int]:
    """The layout, what separates cells, and how many lines stand above the header."""
    heads = [
        (delimiter, number, {cell.strip().lower() for cell in line})
        for delimiter in DELIMITERS
        for number, line in enumerate(
            islice(csv.reader(io.StringIO(text), delimiter=delimiter), HEADER_LINES)
        )
    ]
    for layout in (*LAYOUTS, *KIN_LAYOUTS):
        for delimiter, number, columns in heads:
            if columns.issuperset(layout.columns):
                return layout, delimiter, number
    header = printable(text.partition("\n")[0].strip()) or "nothing"
    known = "; ".join(f"{','.join(layout.columns)} ({layout.name})" for layout in LAYOUTS[1:])
    raise EdgeMelanomaError(
        f"{path} has the header {header}; expected file,label[,lesion_id,patient_id], or the "
        f"columns of a public table: {known}."
    )


def _read_row(line: Mapping[str, str], layout: Layout, place: str) -> Stated:
    cells = {column: value.strip() for column, value in line.items() if column}
    if layout.marked:
        marked = [name for name in layout.marked if cells.get(name, "").lower() in MARKS]
        classes = marked or [layout.unmarked]
    else:
        classes = [cells.get(column, "") for column in layout.classes]
    classes = [layout.words.get(text, text) for text in classes if text]
    if classes and classes[-1].lower() not in LABEL_IS_MALIGNANT:
        cells["class"] = classes[-1]
    return Stated(cells.get(layout.file, ""), tuple(classes), cells, place)
