"""The pictures that belong to a run, and those from elsewhere that it may be judged on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_melanoma.artifacts import SPLIT, TrainedModel, read_json
from edge_melanoma.data_sets import read_data_sets
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.images import hash_bytes, read_image_bytes
from edge_melanoma.integrity import screen_images
from edge_melanoma.lesions import LesionRecord, read_lesions
from edge_melanoma.progress import Reporter


def read_run_records(run: TrainedModel) -> tuple[LesionRecord, ...]:
    """All pictures of the data folders that the run was trained from.

    Raises:
        EdgeMelanomaError: a folder is not where it was.
    """
    folders = {name: Path(folder) for name, folder in run.manifest["dataset"]["folders"].items()}
    for folder in folders.values():
        if not folder.is_dir():
            raise EdgeMelanomaError(
                f"The data folder {folder} of the run {run.folder} is not there any more; "
                f"put it back, or link it there."
            )
    return read_data_sets(folders)


def read_test_side(run: TrainedModel) -> tuple[LesionRecord, ...]:
    """The run's own test pictures, as `read_side` gives them."""
    return read_side(run, "test")


def read_side(run: TrainedModel, side: str) -> tuple[LesionRecord, ...]:
    """The run's own pictures of one side of its split, byte for byte those it was made with.

    Raises:
        EdgeMelanomaError: a picture is missing or has changed.
    """
    split = read_json(run.folder / SPLIT)
    by_id = {record.image_id: record for record in read_run_records(run)}
    return tuple(_verified(by_id.get(name), f"{side} image {name}", split) for name in split[side])


def read_external_set(
    folder: Path, run: TrainedModel | None, *, reporter: Reporter
) -> tuple[LesionRecord, ...]:
    """The readable pictures of another data set, without those that the run has learned from.

    A picture that stands, byte for byte, in the run's training or validation side is left out.
    """
    records = screen_images(read_lesions(folder), reporter=reporter).readable
    if run is None:
        return records
    split = read_json(run.folder / SPLIT)
    learned = {split["sha256"][image_id] for image_id in [*split["train"], *split["validation"]]}
    unseen = tuple(record for record in records if record.sha256 not in learned)
    if len(unseen) < len(records):
        reporter.say(
            f"Left out {len(records) - len(unseen)} of {len(records)} images of {folder}: "
            f"the run was trained on them."
        )
    if not unseen:
        raise EdgeMelanomaError(
            f"Every image of {folder} was used to train {run.folder}; "
            f"without --data the run's own test side is used."
        )
    return unseen


def _verified(record: LesionRecord | None, what: str, split: dict[str, Any]) -> LesionRecord:
    if record is None:
        raise EdgeMelanomaError(f"The {what} is missing from the run's data folder; restore it.")
    sha256 = hash_bytes(read_image_bytes(record.path))
    if sha256 != split["sha256"][record.image_id]:
        raise EdgeMelanomaError(
            f"The {what} has changed since the training ({record.path}); restore it."
        )
    return replace(record, sha256=sha256)
