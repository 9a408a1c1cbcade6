"""The pictures that a model is judged on: a run's own test side, or a data set from elsewhere.

Of a data set from elsewhere the pictures that the run learned from are left out.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_melanoma.data import screening
from edge_melanoma.data.cards import describe_dataset, find_card
from edge_melanoma.data.copies.search import find_copies
from edge_melanoma.data.labels import AS_FOUND, Reading
from edge_melanoma.data.lesions import LesionRecord, count_classes, photo_key, spread
from edge_melanoma.data.listing import list_lesions
from edge_melanoma.data.sets import tell_skipped
from edge_melanoma.data.splits import DatasetSplit
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.evaluation import explain_undefined
from edge_melanoma.machine.ray import RayWorkers
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.runs.manifests import read_split
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.runs.pictures import describe_own_side, find_run_records, read_side
from edge_melanoma.runs.results import read_left_out

LEARNED_SIDES = ("train", "validation")


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPictures:
    """The readable pictures of a set that a model has not learned from, and the set's block.

    Of a set from elsewhere, `folder` is its place and `reading` how it was read, `left_out` has the
    ids of the pictures that the model learned from, `compared_by` says how these were found, and
    `bad` has the unreadable ones. A run's own side has none of these.
    """

    records: tuple[LesionRecord, ...]
    dataset: Mapping[str, Any]
    folder: Path | None = None
    reading: Reading = AS_FOUND
    left_out: tuple[str, ...] = ()
    compared_by: str | None = None
    bad: tuple[screening.BadImage, ...] = ()

    @property
    def name(self) -> str:
        """What a sentence calls the set."""
        return str(self.dataset["name"])

    def as_dict(self) -> dict[str, Any]:
        """For evaluation.json and parity.json; of a run's own side, the dataset block alone."""
        told: dict[str, Any] = {"dataset": self.dataset}
        if self.compared_by is None:
            return told
        told |= {"left_out": len(self.left_out), "left_out_images": list(self.left_out)}
        return told | {"compared_by": self.compared_by}

    def limited(self, limit: int | None) -> "JudgedPictures":
        """At most `limit` of the pictures, spread over the set."""
        if limit is None:
            return self
        records = spread(self.records, limit=limit)
        described = describe_dataset(self.name, records, card=self.dataset["card"])
        return replace(self, records=records, dataset={**self.dataset, **described})


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedPictures:
    """The training and validation pictures of a run: what they hash to, and those still there.

    `kin` are the keys of their lesions, patients and photographs; `owner` is the run as a sentence
    names it.
    """

    owner: str
    images: int
    hashes: frozenset[str]
    records: tuple[LesionRecord, ...]
    kin: frozenset[str] = frozenset()

    def knows(self, record: LesionRecord) -> bool:
        """Whether the bytes are those of a learned picture, or the table names one of its kin."""
        return record.sha256 in self.hashes or not self.kin.isdisjoint(
            (photo_key(record.image_id, record.dataset), *record.named_kin())
        )

    @property
    def comparison(self) -> str:
        """By what other pictures can be recognised as copies of these."""
        if not self.records:
            return "bytes"
        if len(self.records) < self.images:
            return f"bytes, and pixels of the {len(self.records)} of {self.images} still there"
        return "bytes and pixels"


def learned_from_split(split: DatasetSplit) -> LearnedPictures:
    """What a training on `split` learns from."""
    records = (*split.train, *split.validation)
    hashes = frozenset(record.sha256 for record in records if record.sha256)
    kin = frozenset(key for record in records for key in record.kin())
    return LearnedPictures(
        owner="this training", images=len(records), hashes=hashes, records=records, kin=kin
    )


def learned_by_run(run: TrainedModel) -> LearnedPictures | None:
    """What a finished run has learned from, whether or not its data folders are still there.

    None of a run that was imported without pictures.
    """
    if "dataset" not in run.manifest:
        return None
    split, folders = read_split(run.folder), run.manifest["dataset"]["folders"]
    left_out = read_left_out(run.folder)
    ids = {image_id for side in LEARNED_SIDES for image_id in split[side]}
    return LearnedPictures(
        owner=f"the run {run.folder}",
        images=len(ids),
        hashes=frozenset(split["sha256"][image_id] for image_id in ids),
        records=tuple(record for record in find_run_records(run) if record.image_id in ids),
        kin=frozenset(split.get("kin", ()))
        | {_photo_key_of(image_id, folders) for image_id in ids}
        # Found by their pixels when these were still there.
        | {photo_key(i, name) for name, images in left_out.items() for i in images},
    )


def _photo_key_of(image_id: str, folders: Collection[str]) -> str:
    """Of several sets, an image id begins with the name of its own."""
    found = [name for name in folders if len(folders) == 1 or image_id.startswith(f"{name}:")]
    return photo_key(image_id, found[0] if found else None)


def read_own_side(run: TrainedModel) -> JudgedPictures:
    """The test side of a run, as the training left it.

    Raises:
        EdgeMelanomaError: a picture is missing or has changed.
    """
    records = read_side(run, "test")
    return JudgedPictures(records=records, dataset=describe_own_side(run, "test", records))


def read_external_sets(
    folders: Mapping[str, Path],
    learned: LearnedPictures | None,
    reading: Reading = AS_FOUND,
    *,
    reporter: Reporter,
    cache_folder: Path | None = None,
) -> tuple[JudgedPictures, ...]:
    """Each of several named data sets, as `read_external_set` does."""
    return tuple(
        read_external_set(
            folder,
            learned,
            reading.of(name),
            name=name,
            reporter=reporter,
            cache_folder=cache_folder,
        )
        for name, folder in folders.items()
    )


def read_external_set(
    folder: Path,
    learned: LearnedPictures | None,
    reading: Reading = AS_FOUND,
    *,
    reporter: Reporter,
    name: str | None = None,
    cache_folder: Path | None = None,
    ray: RayWorkers | None = None,
) -> JudgedPictures:
    """Another data set without copies of the training and validation pictures of a run.

    Copies are those of `find_copies`; of pictures that are not there any more only the hashes
    of their bytes can be compared. `learned` is none where it is not known what the model has
    learned from. What is left may be of one class. With `ray`, its actors read the pictures.

    Raises:
        EdgeMelanomaError: no data set, a card that cannot be used, or nothing but copies.
    """
    card = find_card(folder)
    name = name or folder.resolve().name
    listed = list_lesions(folder, reading, reporter=reporter)
    tell_skipped({name: folder}, listed, reporter=reporter)
    if learned is None or not learned.records:
        seen = screening.screen_images(listed, reporter=reporter, ray=ray)
        copies = {r.image_id for r in seen.readable if learned and learned.knows(r)}
    else:
        seen, copies = _read_beside(listed, learned, cache_folder, reporter, ray)
    records = seen.readable
    unseen = tuple(record for record in records if record.image_id not in copies)
    if learned is not None and not unseen:
        raise EdgeMelanomaError(
            f"Every image of {folder} is a copy of one that {learned.owner} learned from; "
            f"give a data set from elsewhere."
        )
    found = JudgedPictures(
        records=unseen,
        dataset=describe_dataset(name, unseen, card=card),
        folder=folder.resolve(),
        reading=reading,
        left_out=tuple(record.image_id for record in records if record.image_id in copies),
        compared_by=learned.comparison if learned else "nothing",
        bad=seen.bad,
    )
    for line in _notes_of(found, learned):
        reporter.say(line)
    return found


def _read_beside(
    listed: Sequence[LesionRecord],
    learned: LearnedPictures,
    cache_folder: Path | None,
    reporter: Reporter,
    ray: RayWorkers | None,
) -> tuple[screening.Screening, set[str]]:
    """The pictures, and the ids of those with the bytes of a learned one or near copies of one.

    Both sets are read at once, so that no picture is decoded twice.
    """
    # No file has such a name.
    known = [replace(record, image_id=f"\0{record.image_id}") for record in learned.records]
    prints = screening.read_fingerprints(
        [*listed, *known], cache_folder=cache_folder, reporter=reporter, ray=ray
    )
    ids = {record.image_id for record in listed}
    bad = tuple(image for image in prints.bad if image.image_id in ids)
    readable = tuple(record for record in prints.readable if record.image_id in ids)
    screening.leave_out_bad(bad, total=len(listed), reporter=reporter)
    copies = {record.image_id for record in readable if learned.knows(record)}
    for cluster in find_copies(prints, cache_folder=cache_folder, reporter=reporter).clusters:
        if not ids.issuperset(cluster):
            copies |= ids.intersection(cluster)
    return screening.Screening(readable=readable, bad=bad), copies


def _notes_of(found: JudgedPictures, learned: LearnedPictures | None) -> Iterator[str]:
    if learned is None:
        yield (
            f"It is not known what the model learned from: "
            f"copies of its training images in {found.name} are not left out."
        )
        return
    if left_out := len(found.left_out):
        yield (
            f"Left out {left_out} of {left_out + len(found.records)} images of {found.name}: "
            f"copies of images that {learned.owner} learned from, or of the same lesions."
        )
    if len(learned.records) < learned.images:
        yield (
            f"Not all data folders of {learned.owner} are still there: copies of its training "
            f"images in {found.name} were found by {learned.comparison}."
        )
    benign, malignant = count_classes(found.records)
    if undefined := explain_undefined(benign=benign, malignant=malignant):
        yield f"{found.name}: {undefined}."
