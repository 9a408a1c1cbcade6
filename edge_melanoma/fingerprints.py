"""What is kept of each picture to find its copies: a hash of its pixels and a small thumbnail.

Rows are kept on disk by the sha256 of the file, so that only new pictures are decoded again.
"""

import hashlib
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_melanoma.ahead import map_ahead
from edge_melanoma.atomic_writing import write_atomically
from edge_melanoma.decoding import UnreadableImageError
from edge_melanoma.errors import printable
from edge_melanoma.images import decode_image, hash_bytes, read_image_bytes
from edge_melanoma.integrity import BadImage
from edge_melanoma.layouts import THUMBNAIL_SIZE
from edge_melanoma.lesions import LesionRecord
from edge_melanoma.progress import Reporter
from edge_melanoma.trivial_statistics import TrivialStatistics, measure_picture

VERSION = "fingerprints-v3"
Rows = NDArray[Any]
_ROW = np.dtype(
    [
        ("sha256", "u1", 32),
        ("pixels", "u1", 32),
        ("statistics", "f8", len(TrivialStatistics._fields)),
        ("thumbnail", "u1", (THUMBNAIL_SIZE, THUMBNAIL_SIZE, 3)),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprints:
    """Of the n readable pictures: their records with sha256, and what was measured; the bad ones.

    `pixels` are sha256 of the upright pixels, `statistics` rows (n, 13) of TrivialStatistics,
    `thumbnails` (n, 48, 48, 3).
    """

    records: tuple[LesionRecord, ...]
    pixels: tuple[str, ...]
    statistics: NDArray[np.float64]
    thumbnails: NDArray[np.uint8]
    bad: tuple[BadImage, ...]


def default_fingerprint_folder() -> Path:
    """The user's cache folder for fingerprints and pairs of copies."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("edge-melanoma"))


def read_fingerprints(
    records: Sequence[LesionRecord], *, cache_folder: Path | None, reporter: Reporter
) -> Fingerprints:
    """Read every file, decode those that the cache does not know, and go on past the bad ones."""
    folder = cache_folder / VERSION if cache_folder else None
    known = _open_cache(folder)
    rows = np.zeros(len(records), dtype=_ROW)
    outcomes: list[LesionRecord | BadImage] = []
    made: list[int] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = map_ahead(pool, lambda record: _fingerprint(record, known), records)
        tracked = reporter.track(results, label="Reading images", total=len(records))
        for number, (outcome, row, is_new) in enumerate(tracked):
            outcomes.append(outcome)
            if row is not None:
                rows[number] = row
            if is_new:
                made.append(number)
    if folder and made:
        _keep(rows[made], folder)
    good = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, LesionRecord)]
    rows = rows[good] if len(good) < len(rows) else rows
    return Fingerprints(
        records=tuple(outcome for outcome in outcomes if isinstance(outcome, LesionRecord)),
        pixels=tuple(digest.tobytes().hex() for digest in rows["pixels"]),
        statistics=rows["statistics"].copy(),
        thumbnails=np.ascontiguousarray(rows["thumbnail"]),
        bad=tuple(outcome for outcome in outcomes if isinstance(outcome, BadImage)),
    )


def _fingerprint(
    record: LesionRecord, known: dict[str, Any]
) -> tuple[LesionRecord | BadImage, Any, bool]:
    """The record with its hash, its row, and whether that is new; or the bad image."""
    if record.sha256 in known:
        return record, known[record.sha256], False
    try:
        data = read_image_bytes(record.path)
        sha256 = hash_bytes(data)
        found = replace(record, sha256=sha256)
        if sha256 in known:
            return found, known[sha256], False
        pixels = decode_image(data, name=str(record.path))
    except UnreadableImageError as error:
        return _bad_image(record, error), None, False
    return found, _row_of(pixels, data, sha256), True


def _bad_image(record: LesionRecord, error: UnreadableImageError) -> BadImage:
    """Named relative to its set, in characters that every report can hold."""
    name = printable(record.image_id)
    reason = str(error).replace(printable(str(record.path)), name)
    return BadImage(image_id=name, reason=reason)


def _row_of(pixels: NDArray[np.uint8], data: bytes, sha256: str) -> Any:
    row = np.zeros((), dtype=_ROW)
    content = hashlib.sha256(repr(pixels.shape).encode())
    content.update(pixels.data)
    size = (THUMBNAIL_SIZE, THUMBNAIL_SIZE)
    row["sha256"] = np.frombuffer(bytes.fromhex(sha256), np.uint8)
    row["pixels"] = np.frombuffer(content.digest(), np.uint8)
    row["statistics"] = measure_picture(pixels, data=data)
    row["thumbnail"] = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
    return row


def _open_cache(folder: Path | None) -> dict[str, Any]:
    """Rows by sha256, not read into memory before they are used."""
    known: dict[str, Any] = {}
    for path in sorted(folder.glob("*.npy")) if folder else ():
        rows = np.load(path, mmap_mode="r")
        known |= {digest.tobytes().hex(): rows[n] for n, digest in enumerate(rows["sha256"])}
    return known


def _keep(rows: Rows, folder: Path) -> None:
    stream = io.BytesIO()
    np.save(stream, rows)
    name = hashlib.sha256(rows["sha256"].tobytes()).hexdigest()[:24]
    write_atomically(folder / f"{name}.npy", stream.getvalue())
