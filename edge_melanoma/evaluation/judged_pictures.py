"""Data sets from elsewhere that a run is judged on, without the pictures that it learned from.

The pictures of a bench: those that the contract is for, and external sets beside them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_melanoma.data.cards import DatasetCard, describe_dataset, find_card
from edge_melanoma.data.copies.search import find_duplicates
from edge_melanoma.data.lesions import LesionRecord, count_classes, read_lesions, spread
from edge_melanoma.data.scoring_shard import WHOLE, Shard
from edge_melanoma.data.screening import BadImage, default_fingerprint_folder, screen_images
from edge_melanoma.data.sets import tell_skipped
from edge_melanoma.data.splits import DatasetSplit
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.evaluation import explain_undefined
from edge_melanoma.machine.files import read_json
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.runs.models import SPLIT, TrainedModel
from edge_melanoma.runs.pictures import describe_own_side, find_run_records, read_test_side

LEARNED_SIDES = ("train", "validation")


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedPictures:
    """The training and validation pictures of a run: what they hash to, and those still there.

    `owner` is the run as a sentence names it.
    """

    owner: str
    images: int
    hashes: frozenset[str]
    records: tuple[LesionRecord, ...]

    @property
    def comparison(self) -> str:
        """By what other pictures can be recognised as copies of these."""
        if not self.records:
            return "bytes"
        if len(self.records) < self.images:
            return f"bytes, and pixels of the {len(self.records)} of {self.images} still there"
        return "bytes and pixels"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalSet:
    """The readable pictures of a data set that a run has not learned from.

    `left_out` holds the ids of the others; `compared_by` says how they were found. `listed` counts
    all, with the `bad` ones.
    """

    name: str
    folder: Path
    card: DatasetCard | None
    records: tuple[LesionRecord, ...]
    left_out: tuple[str, ...]
    compared_by: str
    listed: int
    bad: tuple[BadImage, ...]

    def as_dict(self) -> dict[str, Any]:
        """For evaluation.json and parity.json."""
        return describe_judged(self.dataset, left_out=self.left_out, compared_by=self.compared_by)

    @property
    def dataset(self) -> dict[str, Any]:
        """The set's name, card and counts."""
        return describe_dataset(self.name, self.records, card=self.card)


def describe_judged(
    dataset: Mapping[str, Any], *, left_out: Sequence[str], compared_by: str | None
) -> dict[str, Any]:
    """What results say of a set; of a run's own side, compared by nothing, its block alone."""
    if compared_by is None:
        return {"dataset": dataset}
    return {
        "dataset": dataset,
        "left_out": len(left_out),
        "left_out_images": list(left_out),
        "compared_by": compared_by,
    }


def learned_from_split(split: DatasetSplit) -> LearnedPictures:
    """What a training on `split` learns from."""
    records = (*split.train, *split.validation)
    hashes = frozenset(record.sha256 for record in records if record.sha256)
    return LearnedPictures(
        owner="this training", images=len(records), hashes=hashes, records=records
    )


def learned_by_run(run: TrainedModel) -> LearnedPictures:
    """What a finished run has learned from, whether or not its data folders are still there."""
    split = read_json(run.folder / SPLIT)
    ids = {image_id for side in LEARNED_SIDES for image_id in split[side]}
    return LearnedPictures(
        owner=f"the run {run.folder}",
        images=len(ids),
        hashes=frozenset(split["sha256"][image_id] for image_id in ids),
        records=tuple(record for record in find_run_records(run) if record.image_id in ids),
    )


def read_external_sets(
    folders: Mapping[str, Path],
    learned: LearnedPictures | None,
    *,
    reporter: Reporter,
    cache_folder: Path | None = None,
) -> tuple[ExternalSet, ...]:
    """Each of several named data sets, as `read_external_set` does."""
    return tuple(
        read_external_set(folder, learned, name=name, reporter=reporter, cache_folder=cache_folder)
        for name, folder in folders.items()
    )


def read_external_set(
    folder: Path,
    learned: LearnedPictures | None,
    *,
    reporter: Reporter,
    name: str | None = None,
    cache_folder: Path | None = None,
    shard: Shard = WHOLE,
) -> ExternalSet:
    """Another data set without copies of the training and validation pictures of a run.

    Copies are those of `find_duplicates`; of pictures that are not there any more only the hashes
    of their bytes can be compared. `learned` is none where it is not known what the model has
    learned from. What is left may be of one class. In the cache folder fingerprints are kept.
    Of a `shard` only its own pictures are opened, and it may be of copies alone or of none.

    Raises:
        EdgeMelanomaError: no data set, a card that cannot be used, or nothing but copies.
    """
    card = find_card(folder)
    everything = read_lesions(folder)
    tell_skipped({name or folder.resolve().name: folder}, everything, reporter=reporter)
    listed = shard.take(everything)
    screening = screen_images(listed, reporter=reporter, is_part=shard != WHOLE)
    records = screening.readable
    copies = _find_copies(records, learned, cache_folder, reporter) if learned else frozenset()
    unseen = tuple(record for record in records if record.image_id not in copies)
    if learned is not None and not unseen and shard == WHOLE:
        raise EdgeMelanomaError(
            f"Every image of {folder} is a copy of one that {learned.owner} learned from; "
            f"give a data set from elsewhere."
        )
    found = ExternalSet(
        name=name or folder.resolve().name,
        folder=folder.resolve(),
        card=card,
        records=unseen,
        left_out=tuple(record.image_id for record in records if record.image_id in copies),
        compared_by=learned.comparison if learned else "nothing",
        listed=len(listed),
        bad=screening.bad,
    )
    for line in _notes_of(found, learned, is_part=shard != WHOLE):
        reporter.say(line)
    return found


def _find_copies(
    records: Sequence[LesionRecord],
    learned: LearnedPictures,
    cache_folder: Path | None,
    reporter: Reporter,
) -> frozenset[str]:
    """The ids of `records` that have the bytes of a learned picture or are near copies of one."""
    same = {record.image_id for record in records if record.sha256 in learned.hashes}
    if not learned.records or not records:
        return frozenset(same)
    outside = {f"outside:{record.image_id}": record.image_id for record in records}
    named = [replace(record, image_id=f"outside:{record.image_id}") for record in records]
    named += [replace(record, image_id=f"inside:{record.image_id}") for record in learned.records]
    duplicates = find_duplicates(named, reporter=reporter, cache_folder=cache_folder)
    for cluster in duplicates.clusters:
        if not outside.keys() >= set(cluster):
            same |= {outside[image_id] for image_id in cluster if image_id in outside}
    return frozenset(same)


def _notes_of(
    found: ExternalSet, learned: LearnedPictures | None, *, is_part: bool
) -> Iterator[str]:
    if learned is None:
        yield (
            f"It is not known what the model learned from: "
            f"copies of its training images in {found.name} are not left out."
        )
        return
    if found.left_out:
        total = len(found.left_out) + len(found.records)
        yield (
            f"Left out {len(found.left_out)} of {total} images of {found.name}: "
            f"copies of images that {learned.owner} learned from."
        )
    if len(learned.records) < learned.images:
        yield (
            f"Not all data folders of {learned.owner} are still there: copies of its training "
            f"images in {found.name} were found by {learned.comparison}."
        )
    benign, malignant = count_classes(found.records)
    if not is_part and (undefined := explain_undefined(benign=benign, malignant=malignant)):
        yield f"{found.name}: {undefined}."


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchedSet:
    """The pictures and their dataset block."""

    records: tuple[LesionRecord, ...]
    dataset: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What a sentence calls it."""
        return str(self.dataset["name"])


def benched_set(
    data: Path | None, run: TrainedModel, *, limit: int | None, reporter: Reporter
) -> BenchedSet:
    """At most `limit` pictures of `data`, or of the run's test side."""
    if data is None:
        records = spread(read_test_side(run), limit=limit)
        return BenchedSet(records=records, dataset=describe_own_side(run, "test", records))
    found = read_external_set(
        data, learned_by_run(run), reporter=reporter, cache_folder=default_fingerprint_folder()
    )
    records = spread(found.records, limit=limit)
    dataset = describe_dataset(found.name, records, card=found.card)
    return BenchedSet(records=records, dataset=dataset)


def external_sets(
    folders: Mapping[str, Path], run: TrainedModel, *, limit: int | None, reporter: Reporter
) -> tuple[ExternalSet, ...]:
    """At most `limit` pictures of each external set, without copies of what the run has learned."""
    if not folders:
        return ()
    found = read_external_sets(
        folders, learned_by_run(run), reporter=reporter, cache_folder=default_fingerprint_folder()
    )
    return tuple(replace(one, records=spread(one.records, limit=limit)) for one in found)
