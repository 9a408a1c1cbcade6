"""One picture of one lesion: what it is called, what it shows, and which others are its kin."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edge_melanoma.data.image_files import side_of
from edge_melanoma.data.labels import NOT_STATED, diagnosis_of

ATTRIBUTE_COLUMNS = {
    "age": ("age", "age_approx", "age_approximate"),
    "sex": ("sex", "gender"),
    "site": (
        *("site", "localization", "location"),
        *("anatom_site_general", "anatom_site_general_challenge"),
    ),
    "diagnosis": ("diagnosis", "dx", "diagnosis_3", "class"),
}
"""What a table may say of the patient, by the names that public tables have for it."""

TWIN_COLUMN = re.compile(r"in_(\w+)")
"""Names the file that shows the same photograph in another set."""

ARCHIVE_NAME = re.compile(r"ISIC_\d{7}(?!\d)")
"""A file of such a name is the archive's photograph of that name."""

NOT_A_WORD = re.compile(r"\W+")


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


def record_of(
    file: PurePosixPath,
    path: Path,
    cells: Mapping[str, str],
    *,
    is_malignant: bool,
    dataset: str,
    clinics: Sequence[str],
) -> LesionRecord:
    """A picture with what a table states of it, by column; `clinics` are columns too.

    Of several columns for one thing the first that says something counts.
    """
    told = {column: value for column, value in cells.items() if value.lower() not in NOT_STATED}
    first = {
        attribute: next((told[column].lower() for column in columns if column in told), "")
        for attribute, columns in ATTRIBUTE_COLUMNS.items()
    }
    first["diagnosis"] = diagnosis_of(first["diagnosis"])
    twins = [(TWIN_COLUMN.fullmatch(column), value) for column, value in told.items()]
    archive = ARCHIVE_NAME.match(file.stem)
    return LesionRecord(
        image_id=str(file),
        path=path,
        is_malignant=is_malignant,
        dataset=dataset,
        lesion_id=told.get("lesion_id"),
        side=side_of(file),
        attributes=tuple((name, value) for name, value in first.items() if value),
        clinic=next((told[name] for name in clinics if name in told), None),
        patient_id=told.get("patient_id"),
        isic_id=told.get("isic_id") or (archive.group() if archive else None),
        same_as=tuple(
            f"{plain_name(twin.group(1))}:{Path(value).as_posix()}" for twin, value in twins if twin
        ),
    )


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


def spread(records: tuple[LesionRecord, ...], *, limit: int | None) -> tuple[LesionRecord, ...]:
    """At most `limit` records, evenly spaced in the order of the set."""
    if limit is None or limit >= len(records):
        return records
    return tuple(records[number * len(records) // limit] for number in range(limit))
