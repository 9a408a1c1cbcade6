"""Several data sets read as one, each picture named after the set that it came from."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.lesions import LesionRecord, read_lesions


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


def read_data_sets(folders: Mapping[str, Path]) -> tuple[LesionRecord, ...]:
    """The pictures of all sets, each of both classes, sorted by image id.

    Of one set the image ids are paths relative to it. Of several, image and lesion ids begin with
    `NAME:`, and `source` holds the name.

    Raises:
        EdgeMelanomaError: as `read_lesions` does.
    """
    return name_records({name: read_lesions(folder) for name, folder in folders.items()})


def name_records(sets: Mapping[str, Sequence[LesionRecord]]) -> tuple[LesionRecord, ...]:
    """The pictures of all sets under the names that `read_data_sets` gives them."""
    if len(sets) == 1:
        return tuple(*sets.values())
    records = [
        replace(
            record,
            image_id=f"{name}:{record.image_id}",
            lesion_id=f"{name}:{record.lesion_id}" if record.lesion_id else None,
            source=name,
        )
        for name, members in sets.items()
        for record in members
    ]
    return tuple(sorted(records, key=lambda record: record.image_id))
