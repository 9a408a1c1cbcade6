"""Data sets packed into TFRecord shards: each record a tf.train.Example, and one table of all.

The table is a labels.csv that says, beside what every labels.csv says, in which shard and at which
byte each picture begins. So a shard is a plain TFRecord file for programs that read it in order,
and here any picture is read by itself, in any order and without TensorFlow.
"""

import csv
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, cycle
from pathlib import Path
from typing import Any

from edge_melanoma.data.image_files import PACKED_COLUMNS, PackedImage
from edge_melanoma.data.lesions import ATTRIBUTE_COLUMNS, LABELS_TABLE, LesionRecord
from edge_melanoma.data.screening import (
    BadImage,
    describe_bad_images,
    read_sound_bytes,
    refuse_many_bad,
)
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import sha256_of, whole_file
from edge_melanoma.machine.processes import map_ahead
from edge_melanoma.machine.tensorflow import tf
from edge_melanoma.machine.terminal import Reporter

SHARD_PATTERN = "shard-*.tfrecord"
COLUMNS = ("file", "label", "lesion_id", *ATTRIBUTE_COLUMNS, *PACKED_COLUMNS)
LENGTH_BYTES = 12
"""Before the data of a record: its length in 8 bytes and a checksum of that in 4."""

CHECKSUM_BYTES = 4
"""After the data."""

IMAGES_AHEAD = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """What was packed: pictures, their bytes, the shards, and the pictures that cannot be read."""

    images: int
    size_bytes: int
    shards: int
    bad: tuple[BadImage, ...]


def pack_images(
    records: Sequence[LesionRecord],
    folder: Path,
    *,
    places: Sequence[str],
    shard_bytes: int,
    reporter: Reporter,
) -> Packing:
    """Write the readable pictures of `records`, in their order and byte for byte, and the table.

    Shards go in turn to the `places`, folders relative to `folder`, which exist. A shard ends with
    the picture that brings it to `shard_bytes`. The table comes last: without it there is no data
    set. Memory holds a few pictures at a time.

    Raises:
        EdgeMelanomaError: a disk is full, or more than 5 % of the pictures are bad.
    """
    bad: list[BadImage] = []
    names = (Path(place, f"shard-{n:05d}.tfrecord") for n, place in enumerate(cycle(places), 1))
    images = size_bytes = 0
    shards = set()
    loaded = _without_bad(_load_all(records, reporter), bad)
    try:
        with (
            whole_file(folder / LABELS_TABLE) as table,
            table.open("w", newline="", encoding="utf-8") as stream,
            closing(_write_shards(loaded, folder, names, shard_bytes)) as packed,
        ):
            rows = csv.writer(stream, lineterminator="\n")
            rows.writerow(COLUMNS)
            for record, image in packed:
                rows.writerow(_row_of(record, image, folder))
                images, size_bytes = images + 1, size_bytes + image.length
                shards.add(image.path)
            refuse_many_bad(tuple(bad), total=len(records))
    except (OSError, tf.errors.OpError) as error:
        told = getattr(error, "strerror", None) or getattr(error, "message", error)
        raise EdgeMelanomaError(
            f"The shards in {folder} cannot be written: {told}; free the disk, or share them out "
            f"over several with more --out."
        ) from error
    if bad:
        reporter.say(f"Packed without {describe_bad_images(tuple(bad))}")
    return Packing(images=images, size_bytes=size_bytes, shards=len(shards), bad=tuple(bad))


def _load_all(
    records: Sequence[LesionRecord], reporter: Reporter
) -> Iterator[tuple[LesionRecord, bytes | BadImage]]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = map_ahead(pool, read_sound_bytes, records, ahead=IMAGES_AHEAD)
        shown = reporter.track(found, label="Packing images", total=len(records))
        yield from zip(records, shown, strict=True)


def _without_bad(
    found: Iterable[tuple[LesionRecord, bytes | BadImage]], bad: list[BadImage]
) -> Iterator[tuple[LesionRecord, bytes]]:
    """Pass the pictures on and put what is none into `bad`."""
    for record, outcome in found:
        if isinstance(outcome, BadImage):
            bad.append(outcome)
        else:
            yield record, outcome


def _write_shards(
    loaded: Iterator[tuple[LesionRecord, bytes]],
    folder: Path,
    names: Iterator[Path],
    shard_bytes: int,
) -> Generator[tuple[LesionRecord, PackedImage], None, None]:
    """Write shard after shard; each picture with the place it has got."""
    while (first := next(loaded, None)) is not None:
        path, size = folder / next(names), 0
        with whole_file(path) as temporary, tf.io.TFRecordWriter(str(temporary)) as writer:
            for record, data in chain([first], loaded):
                sha256 = sha256_of(data)
                example = _example_of(record, data, sha256=sha256)
                writer.write(example)
                yield (
                    record,
                    PackedImage(
                        path=path,
                        offset=size + LENGTH_BYTES + example.index(data),
                        length=len(data),
                        name=record.image_id,
                        sha256=sha256,
                    ),
                )
                size += LENGTH_BYTES + len(example) + CHECKSUM_BYTES
                if size >= shard_bytes:
                    break


def _row_of(record: LesionRecord, image: PackedImage, folder: Path) -> tuple[str | int, ...]:
    attributes = dict(record.attributes)
    return (
        record.image_id,
        "malignant" if record.is_malignant else "benign",
        record.lesion_id or "",
        *(attributes.get(name, "") for name in ATTRIBUTE_COLUMNS),
        image.path.relative_to(folder).as_posix(),
        image.offset,
        image.length,
        image.sha256,
    )


def _example_of(record: LesionRecord, data: bytes, *, sha256: str) -> bytes:
    """A serialised tf.train.Example; its features have the names of TensorFlow's own image sets."""
    texts = {
        "image/filename": record.image_id,
        "image/class/text": "malignant" if record.is_malignant else "benign",
        "image/sha256": sha256,
        "image/lesion_id": record.lesion_id,
        **{f"image/{name}": value for name, value in record.attributes},
    }
    features = {name: _bytes(text.encode()) for name, text in texts.items() if text is not None}
    features["image/encoded"] = _bytes(data)
    features["image/class/label"] = tf.train.Feature(
        int64_list=tf.train.Int64List(value=[int(record.is_malignant)])
    )
    example = tf.train.Example(features=tf.train.Features(feature=features))
    serialised: bytes = example.SerializeToString()
    return serialised


def _bytes(value: bytes) -> Any:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
