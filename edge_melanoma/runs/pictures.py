"""The pictures that belong to a run."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_melanoma.data.cards import describe_dataset
from edge_melanoma.data.images import read_image_bytes
from edge_melanoma.data.labels import Reading
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.sets import read_data_sets
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.environment import portable_path
from edge_melanoma.machine.files import sha256_of
from edge_melanoma.runs.manifests import read_split
from edge_melanoma.runs.models import TrainedModel, refuse_without_pictures
from edge_melanoma.runs.own_files import find_folder, remember_folder


def read_run_records(run: TrainedModel) -> tuple[LesionRecord, ...]:
    """All pictures of the data folders that the run was trained from.

    Raises:
        EdgeMelanomaError: a folder is not where it was.
    """
    refuse_without_pictures(run)
    dataset = run.manifest["dataset"]
    folders = {
        name: _folder_of(run, name, told, fingerprint=dataset.get("fingerprint"))
        for name, told in dataset["folders"].items()
    }
    for folder in folders.values():
        if not os.path.isdir(folder):
            raise EdgeMelanomaError(
                f"The data folder {folder} of the run {run.folder} is not there any more; "
                f"put it back, or link it there."
            )
    return read_data_sets(folders, Reading.from_dict(run.manifest["dataset"].get("reading")))


def portable_folder(folder: Path, *, run_folder: Path, fingerprint: str, name: str) -> str:
    """What a manifest tells of where a set lies, which is noted apart: the run may be handed on."""
    remember_folder(folder, fingerprint=fingerprint, name=name)
    return portable_path(folder, start=run_folder)


def find_external(run: TrainedModel, name: str, dataset: Mapping[str, Any]) -> Path:
    """Where the set from elsewhere lies that the run was measured on."""
    told = run.manifest["external"][name]
    return _folder_of(run, name, told, fingerprint=dataset.get("fingerprint"))


def _folder_of(run: TrainedModel, name: str, told: str, *, fingerprint: str | None) -> Path:
    noted = find_folder(fingerprint, name) if fingerprint else None
    beside = Path(os.path.normpath(run.folder.resolve() / told))
    # Manifests of earlier versions tell it from the working folder.
    # Of a name that no system has, the methods of a path raise where these answer no.
    places = [place for place in (noted, beside, Path(told)) if place and os.path.isdir(place)]
    return places[0] if places else beside


def find_run_records(run: TrainedModel) -> tuple[LesionRecord, ...]:
    """The same, or none where a data folder cannot be read any more."""
    try:
        return read_run_records(run)
    except EdgeMelanomaError:
        return ()


def read_side(run: TrainedModel, side: str) -> tuple[LesionRecord, ...]:
    """The run's own pictures of one side of its split, byte for byte those it was made with.

    Raises:
        EdgeMelanomaError: a picture is missing or has changed.
    """
    by_id = {record.image_id: record for record in read_run_records(run)}
    split = read_split(run.folder)
    return tuple(_verified(by_id.get(name), f"{side} image {name}", split) for name in split[side])


def describe_own_side(
    run: TrainedModel, side: str, records: Sequence[LesionRecord]
) -> dict[str, Any]:
    """The dataset block of one side of the run's split, with the card that the training read."""
    dataset = run.manifest["dataset"]
    name = f"{dataset['name']}, {side} side"
    block = describe_dataset(name, records, card=dataset.get("card"))
    return block | ({"cards": dataset["cards"]} if "cards" in dataset else {})


def leaked_test_of(split: Mapping[str, Any]) -> tuple[str, ...]:
    """From a split.json: the given test pictures that have copies in the given training part."""
    return tuple(split.get("leaked_test", ()))


def _verified(record: LesionRecord | None, what: str, split: dict[str, Any]) -> LesionRecord:
    if record is None:
        raise EdgeMelanomaError(f"The {what} is missing from the run's data folder; restore it.")
    sha256 = sha256_of(read_image_bytes(record.path))
    if sha256 != split["sha256"][record.image_id]:
        raise EdgeMelanomaError(
            f"The {what} has changed since the training ({record.path}); restore it."
        )
    return replace(record, sha256=sha256)
