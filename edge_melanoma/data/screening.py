"""The rows that fingerprints are, and a cache of them by the sha256 of the pictures.

What is kept of each picture to find its copies: a hash of its pixels and a small thumbnail.

Rows are kept on disk by the sha256 of the file, so that only new pictures are decoded again.

Which pictures of a data set can be read at all, found before any long work begins.
"""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_melanoma.data.decoding import UnreadableImageError
from edge_melanoma.data.images import decode_image, read_image_bytes
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.statistics import TrivialStatistics, measure_picture
from edge_melanoma.errors import EdgeMelanomaError, printable
from edge_melanoma.machine.files import sha256_of, whole_file
from edge_melanoma.machine.processes import map_ahead
from edge_melanoma.machine.rows import FieldOfRows, Rows, RowsOnDisk
from edge_melanoma.machine.terminal import Reporter, SilentReporter

VERSION = "fingerprints-v3"
THUMBNAIL_SIZE = 48
ROW = np.dtype(
    [
        ("sha256", "u1", 32),
        ("pixels", "u1", 32),
        ("statistics", "f8", len(TrivialStatistics._fields)),
        ("thumbnail", "u1", (THUMBNAIL_SIZE, THUMBNAIL_SIZE, 3)),
    ]
)
_CHUNK = 1024


class KnownRows:
    """The rows in a cache folder by sha256; memory holds where they are and not what they say."""

    def __init__(self, folder: Path | None) -> None:
        self._places: dict[bytes, tuple[Path, int]] = {}
        for path in sorted(folder.glob("*.npy")) if folder else ():
            self._list(path)

    def __contains__(self, sha256: str | None) -> bool:
        return sha256 is not None and bytes.fromhex(sha256) in self._places

    def __getitem__(self, sha256: str) -> Any:
        """The row of a picture."""
        path, offset = self._places[bytes.fromhex(sha256)]
        with path.open("rb") as stream:
            stream.seek(offset)
            return np.frombuffer(stream.read(ROW.itemsize), ROW)[0]

    def _list(self, path: Path) -> None:
        try:
            rows = np.load(path, mmap_mode="r")
        except (OSError, ValueError):
            return  # No whole file of rows: what it held is measured again.
        if rows.dtype != ROW:
            return
        offset = rows.offset
        del rows
        with path.open("rb") as stream:
            stream.seek(offset)
            while data := stream.read(_CHUNK * ROW.itemsize):
                for digest in np.frombuffer(data, ROW)["sha256"]:
                    self._places[digest.tobytes()] = (path, offset)
                    offset += ROW.itemsize


def keep_rows(rows: RowsOnDisk, chosen: Sequence[int], folder: Path) -> None:
    """Add a file of some rows to a cache folder.

    Raises:
        EdgeMelanomaError: the folder cannot be written, or its disk is full.
    """
    numbers = np.array(chosen)
    chunks = [numbers[start : start + _CHUNK] for start in range(0, len(numbers), _CHUNK)]
    digests = hashlib.sha256()
    for chunk in chunks:
        digests.update(rows.read(chunk, field="sha256").tobytes())
    path = folder / f"{digests.hexdigest()[:24]}.npy"
    header = {
        "descr": np.lib.format.dtype_to_descr(ROW),
        "fortran_order": False,
        "shape": (len(numbers),),
    }
    try:
        with whole_file(path) as temporary, temporary.open("wb") as stream:
            np.lib.format.write_array_header_1_0(stream, header)
            for chunk in chunks:
                stream.write(rows[chunk].tobytes())
    except OSError as error:
        raise EdgeMelanomaError(
            f"{path} cannot be written: {error.strerror}; free the disk or go on without the "
            f"cache, with --no-cache."
        ) from error


LARGEST_BAD_SHARE = 0.05
EXAMPLES_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class BadImage:
    """A picture that cannot be used, and the reason as a sentence."""

    image_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """The records whose pictures decode fully, with their sha256, and those that do not."""

    readable: tuple[LesionRecord, ...]
    bad: tuple[BadImage, ...]


def screen_images(
    records: tuple[LesionRecord, ...],
    *,
    reporter: Reporter | None = None,
    is_part: bool = False,
) -> Screening:
    """Read, hash and decode every picture once.

    Raises:
        EdgeMelanomaError: more than 5 % of the pictures are bad; of a part of a set, whose other
            parts may be better, any share is passed on.
    """
    reporter = reporter or SilentReporter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = reporter.track(
            map_ahead(pool, _screen_one, records), label="Checking images", total=len(records)
        )
        outcomes = list(results)
    bad = tuple(outcome for outcome in outcomes if isinstance(outcome, BadImage))
    readable = tuple(outcome for outcome in outcomes if isinstance(outcome, LesionRecord))
    if not is_part:
        refuse_many_bad(bad, total=len(records))
    if bad:
        reporter.say(f"Going on without {describe_bad_images(bad)}")
    return Screening(readable=readable, bad=bad)


def describe_bad_images(bad: tuple[BadImage, ...]) -> str:
    """How many pictures are bad and which, as the end of a sentence."""
    shown = " ".join(image.reason for image in bad[:EXAMPLES_SHOWN])
    more = f" (and {len(bad) - EXAMPLES_SHOWN} more)" if len(bad) > EXAMPLES_SHOWN else ""
    plural = "image" if len(bad) == 1 else "images"
    return f"{len(bad)} unreadable {plural}: {shown}{more}"


def read_sound_bytes(record: LesionRecord) -> bytes | BadImage:
    """The bytes of a picture that decodes fully."""
    try:
        data = read_image_bytes(record.path)
        decode_image(data, name=str(record.path))
    except UnreadableImageError as error:
        return BadImage(image_id=record.image_id, reason=str(error))
    return data


def _screen_one(record: LesionRecord) -> LesionRecord | BadImage:
    found = read_sound_bytes(record)
    return found if isinstance(found, BadImage) else replace(record, sha256=sha256_of(found))


def refuse_many_bad(bad: tuple[BadImage, ...], *, total: int) -> None:
    """More than 5 % of the pictures are an error that is not to be gone on with."""
    if len(bad) > LARGEST_BAD_SHARE * total:
        raise EdgeMelanomaError(
            f"{len(bad)} of {total} images cannot be used, more than {LARGEST_BAD_SHARE:.0%}; "
            f"mend or remove them first: {describe_bad_images(bad)}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprints:
    """Of the n readable pictures: their records with sha256, and what was measured; the bad ones.

    `pixels` are sha256 of the upright pixels, `statistics` rows (n, 13) of TrivialStatistics,
    `thumbnails` (n, 48, 48, 3), which lie on disk.
    """

    records: tuple[LesionRecord, ...]
    pixels: tuple[str, ...]
    statistics: NDArray[np.float64]
    thumbnails: Rows
    bad: tuple[BadImage, ...]


def default_fingerprint_folder() -> Path:
    """The user's cache folder for fingerprints and pairs of copies."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("edge-melanoma"))


def read_fingerprints(
    records: Sequence[LesionRecord], *, cache_folder: Path | None, reporter: Reporter
) -> Fingerprints:
    """Read every file, decode those that the cache does not know, and go on past the bad ones.

    Raises:
        EdgeMelanomaError: the rows cannot be kept, as a disk is full.
    """
    folder = cache_folder / VERSION if cache_folder else None
    known = KnownRows(folder)
    rows = RowsOnDisk(ROW)
    good: list[LesionRecord] = []
    bad: list[BadImage] = []
    pixels: list[str] = []
    statistics = np.empty((len(records), len(TrivialStatistics._fields)))
    made: list[int] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = map_ahead(pool, lambda record: _fingerprint(record, known), records)
        for found in reporter.track(results, label="Reading images", total=len(records)):
            if isinstance(found, BadImage):
                bad.append(found)
                continue
            if found.is_new:
                made.append(len(good))
            statistics[len(good)] = found.row["statistics"]
            pixels.append(found.row["pixels"].tobytes().hex())
            good.append(found.record)
            rows.append(found.row[None])
    if folder and made:
        keep_rows(rows, made, folder)
    return Fingerprints(
        records=tuple(good),
        pixels=tuple(pixels),
        statistics=statistics[: len(good)],
        thumbnails=FieldOfRows(rows, "thumbnail"),
        bad=tuple(bad),
    )


@dataclass(frozen=True, slots=True)
class _Fingerprint:
    """A record with its sha256, its row, and whether no cache knew it."""

    record: LesionRecord
    row: Any
    is_new: bool


def _fingerprint(record: LesionRecord, known: KnownRows) -> _Fingerprint | BadImage:
    if record.sha256 in known:
        return _Fingerprint(record, known[str(record.sha256)], is_new=False)
    try:
        data = read_image_bytes(record.path)
        sha256 = sha256_of(data)
        found = replace(record, sha256=sha256)
        if sha256 in known:
            return _Fingerprint(found, known[sha256], is_new=False)
        pixels = decode_image(data, name=str(record.path))
    except UnreadableImageError as error:
        return _bad_image(record, error)
    return _Fingerprint(found, _row_of(pixels, data, sha256), is_new=True)


def _bad_image(record: LesionRecord, error: UnreadableImageError) -> BadImage:
    """Named relative to its set, in characters that every report can hold."""
    name = printable(record.image_id)
    reason = str(error).replace(printable(str(record.path)), name)
    return BadImage(image_id=name, reason=reason)


def _row_of(pixels: NDArray[np.uint8], data: bytes, sha256: str) -> Any:
    row = np.zeros((), dtype=ROW)
    content = hashlib.sha256(repr(pixels.shape).encode())
    content.update(pixels.data)
    size = (THUMBNAIL_SIZE, THUMBNAIL_SIZE)
    row["sha256"] = np.frombuffer(bytes.fromhex(sha256), np.uint8)
    row["pixels"] = np.frombuffer(content.digest(), np.uint8)
    row["statistics"] = measure_picture(pixels, data=data)
    row["thumbnail"] = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
    return row
