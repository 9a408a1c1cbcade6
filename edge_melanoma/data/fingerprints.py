"""What is kept of each picture to find its copies: a hash of its pixels and a small thumbnail.

Rows are kept on disk by the sha256 of the file, so that only new pictures are decoded again.
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
from edge_melanoma.data.fingerprint_rows import ROW, THUMBNAIL_SIZE, VERSION, KnownRows, keep_rows
from edge_melanoma.data.images import decode_image, hash_bytes, read_image_bytes
from edge_melanoma.data.integrity import BadImage
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.trivial_statistics import TrivialStatistics, measure_picture
from edge_melanoma.errors import printable
from edge_melanoma.machine.ahead import map_ahead
from edge_melanoma.machine.progress import Reporter
from edge_melanoma.machine.rows_on_disk import FieldOfRows, Rows, RowsOnDisk


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
        sha256 = hash_bytes(data)
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
