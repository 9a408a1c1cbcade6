"""Which pictures there are and what each one shows, read from class folders or from tables."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from edge_melanoma.data.image_files import (
    SIDE_NAMES,
    PictureIndex,
    find_root,
    image_files,
    names_a_picture,
    visible_folders,
)
from edge_melanoma.data.labels import (
    AS_FOUND,
    CLASS_FOLDERS,
    CLASS_IS_MALIGNANT,
    KIN,
    LABEL_IS_MALIGNANT,
    OWN,
    UNDECIDED,
    Group,
    Layout,
    Reading,
    Stated,
    diagnosis_of,
    names_of,
    read_table,
)
from edge_melanoma.data.lesions import LesionRecord, record_of
from edge_melanoma.errors import EdgeMelanomaError, printable
from edge_melanoma.machine.terminal import Reporter, SilentReporter

LABELS_TABLE = "labels.csv"
EXPECTED_LAYOUT = (
    "expected the folders benign and malignant, the same inside train and test, "
    "a labels.csv with the columns file,label[,lesion_id], or a table with --labels FILE"
)
CLASSES_SHOWN = 12
SILENT = SilentReporter()
Listed = dict[PurePosixPath, Stated]
"""What is said of each file, by its path in the data set."""


def read_lesions(
    folder: Path, reading: Reading = AS_FOUND, *, reporter: Reporter = SILENT
) -> tuple[LesionRecord, ...]:
    """The pictures of a data set, sorted by image id, not yet opened.

    Reads the tables of `reading`, else a labels.csv where there is one, and otherwise class
    folders, directly below `folder` or inside train and test; the set may stand in a lone folder
    inside. Names are matched without regard to case. What is left out is told to `reporter`.

    Raises:
        EdgeMelanomaError: no such folder, no pictures, a class missing, or an unknown class.
    """
    records = list_lesions(folder, reading, reporter=reporter)
    for name, is_malignant in CLASS_IS_MALIGNANT.items():
        if not any(record.is_malignant == is_malignant for record in records):
            raise EdgeMelanomaError(
                f"There are no {name} images in {folder}; both classes are needed: "
                f"{EXPECTED_LAYOUT}."
            )
    return records


def list_lesions(
    folder: Path, reading: Reading = AS_FOUND, *, reporter: Reporter = SILENT
) -> tuple[LesionRecord, ...]:
    """The same for a data set that may hold one class only."""
    if not folder.is_dir():
        raise EdgeMelanomaError(f"There is no folder {folder}; {EXPECTED_LAYOUT}.")
    classes = {*CLASS_IS_MALIGNANT, *map(diagnosis_of, reading.malignant)}
    root = find_root(folder, lambda sub: _begins_at(sub, classes | SIDE_NAMES.keys()))
    tables = [path for _, path in reading.tables] or [root / LABELS_TABLE]
    if reading.tables or tables[0].is_file():
        layout, listed = _read_tables(root, tables, reporter)
    else:
        layout, listed = CLASS_FOLDERS, _read_folders(root, classes, reporter)
    if not listed:
        raise EdgeMelanomaError(f"There are no images in {folder}; {EXPECTED_LAYOUT}.")
    decided = _decide(listed, layout, reading, folder, reporter)
    _tell_contradictions(decided, reporter)
    records = [
        record_of(
            file,
            root / file,
            listed[file].cells,
            is_malignant=is_malignant,
            dataset=folder.resolve().name,
            clinics=layout.clinics,
        )
        for file, is_malignant in decided.items()
    ]
    if reading.group is Group.LESION:
        records = [replace(record, patient_id=None) for record in records]
    return tuple(sorted(records, key=lambda record: record.image_id))


def _begins_at(folder: Path, names: Collection[str]) -> bool:
    """Whether a data set has its labels.csv, or folders of these names, in `folder`."""
    return (folder / LABELS_TABLE).is_file() or any(
        diagnosis_of(sub.name) in names for sub in visible_folders(folder)
    )


def _read_folders(root: Path, names: Collection[str], reporter: Reporter) -> Listed:
    folders = visible_folders(root)
    sides = [sub for sub in folders if sub.name.lower() in SIDE_NAMES]
    for sub in folders:
        if sides and sub not in sides and any(image_files(sub)):
            raise EdgeMelanomaError(
                f"The folder {sub} holds images beside train and test; {EXPECTED_LAYOUT}."
            )
    listed: Listed = {}
    unlabelled = []
    for side in sides or [root]:
        inner = find_root(side, lambda sub: _begins_at(sub, names))
        classes = visible_folders(inner)
        if not classes and any(map(names_a_picture, inner.iterdir())):
            unlabelled.append(inner)
        for sub in classes:
            if diagnosis_of(sub.name) not in names and _begins_at(sub, CLASS_IS_MALIGNANT):
                raise EdgeMelanomaError(
                    f"{inner} holds several data sets, such as {sub.name}; give each by itself."
                )
            cells = {} if sub.name.lower() in LABEL_IS_MALIGNANT else {"class": sub.name}
            for path in image_files(sub):
                file = PurePosixPath(path.relative_to(root).as_posix())
                listed[file] = Stated(path.name, (sub.name,), cells, f"The folder {sub}")
    for side in unlabelled:
        score = f"To score them: edge-melanoma predict MODEL {side}"
        if not listed:
            raise EdgeMelanomaError(
                f"The images in {side} stand in no class folder, so that it is not known which are "
                f"malignant; {EXPECTED_LAYOUT}. {score}"
            )
        reporter.say(f"Left out: the images of {side}, which are in no class folder. {score}")
    return listed


def _read_tables(root: Path, paths: Sequence[Path], reporter: Reporter) -> tuple[Layout, Listed]:
    tables = [(path, *read_table(path)) for path in paths]
    layouts = {layout.name: layout for _, layout, _ in tables if layout.name != KIN}
    if len(layouts) != 1:
        raise EdgeMelanomaError(
            f"Expected tables of one layout that states classes for {root}; got "
            f"{' and '.join(layouts) or 'none'}: give each set its own with --labels NAME=FILE."
        )
    index = PictureIndex(root)
    listed: Listed = {}
    kin: Listed = {}
    for path, layout, rows in tables:
        is_own = path == root / LABELS_TABLE and layout is OWN
        into = kin if layout.name == KIN else listed
        missing = []
        for row in rows:
            file = index.find(row.name, by_name=not is_own) or (_own_file(row) if is_own else None)
            if file is None:
                missing.append(row.name)
            elif file in into:
                raise EdgeMelanomaError(
                    f"{path} names the file '{file}' more than once; expected one row a file."
                )
            else:
                into[file] = row
        if missing:
            told = (
                f"{len(missing)} of {len(rows)} images of {path} are not below {root}, such as "
                f"'{printable(missing[0])}'"
            )
            if len(missing) == len(rows):
                raise EdgeMelanomaError(f"{told}; expected files of these names.")
            reporter.say(f"Left out: {told}")
    for file in kin.keys() & listed.keys():
        listed[file] = listed[file]._replace(cells={**kin[file].cells, **listed[file].cells})
    return next(iter(layouts.values())), listed


def _own_file(row: Stated) -> PurePosixPath:
    """Of a picture that is missing, which its reader will say."""
    file = PurePosixPath(row.name)
    if not file.parts or file.is_absolute() or ".." in file.parts:
        raise EdgeMelanomaError(
            f"{row.place} names the file '{printable(row.name)}'; expected a path inside the "
            f"folder of the table."
        )
    return file


def _decide(
    listed: Listed, layout: Layout, reading: Reading, folder: Path, reporter: Reporter
) -> dict[PurePosixPath, bool]:
    """Which are malignant, without those of which nobody knows."""
    wanted = set(map(diagnosis_of, reading.malignant or layout.malignant))
    names = {file: names_of(stated.classes) for file, stated in listed.items()}
    known = CLASS_IS_MALIGNANT if layout is CLASS_FOLDERS else LABEL_IS_MALIGNANT
    by_name = any(map(wanted.intersection, names.values())) or (
        layout.malignant and not reading.malignant
    )
    # Of one class a picture, none that is called malignant is benign because of another's name.
    if layout in (OWN, CLASS_FOLDERS):
        wanted.add("malignant")
    decided: dict[PurePosixPath, bool] = {}
    for file, stated in listed.items():
        if by_name and (wanted & names[file] or stated.first_class not in UNDECIDED):
            decided[file] = bool(wanted & names[file])
        elif not by_name and stated.first_class in known:
            decided[file] = known[stated.first_class]
        elif not by_name and (layout is OWN or stated.first_class not in UNDECIDED):
            raise EdgeMelanomaError(_explain(stated, listed, layout, reading, folder))
    if by_name:
        reporter.say(f"Classes of {folder.name}: {_describe_classes(listed, decided)}")
    elif reading.malignant:
        reporter.say(f"The classes of {folder.name} are benign and malignant, without --malignant")
    if unknown := len(listed) - len(decided):
        reporter.say(f"Left out: {unknown} images of {folder.name} whose class is not known")
    return decided


def _explain(stated: Stated, listed: Listed, layout: Layout, reading: Reading, folder: Path) -> str:
    """Why the class of a picture says nothing, and what to do."""
    found = sorted({text.lower() for other in listed.values() for text in other.classes})
    if reading.malignant:
        return (
            f"--malignant {','.join(reading.malignant)} names none of the classes in {folder}: "
            f"{_shorten(found)}."
        )
    likely = [text for text in found if diagnosis_of(text) in {"mel", "malignant", "1"}]
    example = ",".join(likely[:1]) or "NAME"
    asked = f"say which of {_shorten(found)} are malignant, such as --malignant {example}"
    if layout is not CLASS_FOLDERS:
        label = stated.cells.get("label", "".join(stated.classes[:1]))
        told = f"{stated.place} has the label '{printable(label)}'"
        return f"{told}; expected benign or malignant (or 0 or 1), or {asked}."
    told = f"{stated.place} is neither benign nor malignant"
    for table in sorted(folder.glob("*.csv")):
        return f"{told}; if {table} says which images are, give it with --labels {table}."
    return f"{told}; {EXPECTED_LAYOUT}; or {asked}."


def _shorten(names: Sequence[str]) -> str:
    more = f" and {len(names) - CLASSES_SHOWN} more" if len(names) > CLASSES_SHOWN else ""
    return printable(", ".join(names[:CLASSES_SHOWN])) + more


def _describe_classes(listed: Listed, decided: Mapping[PurePosixPath, bool]) -> str:
    """Which count as malignant: that one does not may be a mistake."""
    told = []
    for name, is_malignant in (("malignant", True), ("benign", False)):
        files = [file for file, verdict in decided.items() if verdict is is_malignant]
        classes = sorted({listed[file].classes[-1].lower() for file in files})
        told.append(f"{len(files)} {name} images ({_shorten(classes) or 'none'})")
    return " and ".join(told)


def _tell_contradictions(decided: Mapping[PurePosixPath, bool], reporter: Reporter) -> None:
    contrary = [
        file
        for file, verdict in decided.items()
        if any(CLASS_IS_MALIGNANT.get(p.lower(), verdict) != verdict for p in file.parts[:-1])
    ]
    if contrary:
        reporter.say(
            f"The labels of {len(contrary)} images contradict the folders that they stand in, such "
            f"as that of {printable(str(contrary[0]))}: the labels count"
        )
