"""What is kept of each picture to find its copies: a hash of its pixels and a small thumbnail.

Rows are kept on disk by the sha256 of the file, so that only new pictures are decoded again.
"""

import hashlib
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_melanoma.artifacts import write_atomically
from edge_melanoma.images import decode_image, hash_bytes, read_image_bytes
from edge_melanoma.layouts import THUMBNAIL_SIZE
from edge_melanoma.lesions import LesionRecord
from edge_melanoma.progress import Reporter

VERSION = "fingerprints-v1"
_ROW = np.dtype(
    [
        ("sha256", "V32"),
        ("pixels", "V32"),
        ("thumbnail", "u1", (THUMBNAIL_SIZE, THUMBNAIL_SIZE, 3)),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprints:
    """Of n pictures: sha256 of the file and of the upright pixels, thumbnails (n, 48, 48, 3)."""

    sha256: tuple[str, ...]
    pixels: tuple[str, ...]
    thumbnails: NDArray[np.uint8]


def read_fingerprints(
    records: Sequence[LesionRecord], *, cache_folder: Path | None, reporter: Reporter
) -> Fingerprints:
    """Fingerprints in the order of `records`, whose files must be readable pictures."""
    folder = cache_folder / VERSION if cache_folder else None
    rows = np.zeros(len(records), dtype=_ROW)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        hashes = list(pool.map(_sha256_of, records))
    missing = _fill_from_cache(rows, hashes, folder)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = pool.map(_fingerprint, [records[number].path for number in missing])
        for number, (pixels, thumbnail) in zip(
            missing,
            reporter.track(made, label="Fingerprinting images", total=len(missing)),
            strict=True,
        ):
            rows[number] = (bytes.fromhex(hashes[number]), pixels, thumbnail)
    if folder and missing:
        _keep(rows[missing], folder)
    return Fingerprints(
        sha256=tuple(hashes),
        pixels=tuple(row.tobytes().hex() for row in rows["pixels"]),
        thumbnails=np.ascontiguousarray(rows["thumbnail"]),
    )


def _sha256_of(record: LesionRecord) -> str:
    return record.sha256 or hash_bytes(read_image_bytes(record.path))


def _fingerprint(path: Path) -> tuple[bytes, NDArray[np.uint8]]:
    pixels = decode_image(read_image_bytes(path), name=str(path))
    digest = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()
    size = (THUMBNAIL_SIZE, THUMBNAIL_SIZE)
    return digest, np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def _fill_from_cache(
    rows: NDArray[np.void], hashes: Sequence[str], folder: Path | None
) -> list[int]:
    """Fill what is on disk; the positions of the others."""
    known: dict[str, NDArray[np.void]] = {}
    for path in sorted(folder.glob("*.npy")) if folder else ():
        shard = np.load(path, mmap_mode="r")
        known |= {row["sha256"].tobytes().hex(): row for row in shard}
    missing = []
    for number, sha256 in enumerate(hashes):
        if sha256 in known:
            rows[number] = known[sha256]
        else:
            missing.append(number)
    return missing


def _keep(rows: NDArray[np.void], folder: Path) -> None:
    stream = io.BytesIO()
    np.save(stream, rows)
    name = hashlib.sha256(rows["sha256"].tobytes()).hexdigest()[:16]
    write_atomically(folder / f"{name}.npy", stream.getvalue())
