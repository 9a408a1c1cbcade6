"""Every picture read, hashed and decoded once: which can be used, and what finds their copies.

What is measured of a picture is kept by the sha256 of its file, so that a later search decodes only
the new ones.
"""

import hashlib
import os
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_melanoma.data.images import UnreadableImageError, decode_image, read_image_bytes
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.statistics import TrivialStatistics, measure_picture
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import sha256_of
from edge_melanoma.machine.processes import map_ahead
from edge_melanoma.machine.ray import RayWorkers, map_by_ray
from edge_melanoma.machine.rows import ChosenRows, Rows, RowStore
from edge_melanoma.machine.terminal import Reporter, SilentReporter

VERSION = "fingerprints-v4"
THUMBNAIL_SIZE = 48
ROW = np.dtype(
    [
        ("pixels", "u1", 32),
        ("statistics", "f8", len(TrivialStatistics._fields)),
        ("thumbnail", "u1", (THUMBNAIL_SIZE, THUMBNAIL_SIZE, 3)),
    ]
)
Seen = tuple[LesionRecord, Any]
"""A readable record with its sha256, and the row of a picture that the store did not know."""
LARGEST_BAD_SHARE = 0.05
EXAMPLES_SHOWN = 3
_BATCH = 256
"""Pictures whose new rows are kept together: at most 2 MB."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprints(Screening):
    """What was measured of the n readable pictures.

    `pixels` are sha256 of the upright pixels, `statistics` rows (n, 13) of TrivialStatistics,
    `thumbnails` (n, 48, 48, 3), which lie on disk.
    """

    pixels: tuple[str, ...]
    statistics: NDArray[np.float64]
    thumbnails: Rows


def screen_images(
    records: Sequence[LesionRecord],
    *,
    reporter: Reporter | None = None,
    ray: RayWorkers | None = None,
) -> Screening:
    """Read, hash and decode every picture once, by threads or by Ray's actors.

    Raises:
        EdgeMelanomaError: more than 5 % of the pictures are bad.
    """
    reporter = reporter or SilentReporter()
    found = list(_look_at_all(records, None, "Checking images", reporter, ray))
    bad = tuple(outcome for outcome in found if isinstance(outcome, BadImage))
    leave_out_bad(bad, total=len(records), reporter=reporter)
    readable = tuple(seen[0] for seen in found if not isinstance(seen, BadImage))
    return Screening(readable=readable, bad=bad)


def read_fingerprints(
    records: Sequence[LesionRecord],
    *,
    cache_folder: Path | None,
    reporter: Reporter,
    ray: RayWorkers | None = None,
) -> Fingerprints:
    """The same with what finds copies, going on past any number of bad pictures.

    Those that the cache knows by their bytes are not decoded again.

    Raises:
        EdgeMelanomaError: the rows cannot be kept, as a disk is full.
    """
    store = RowStore(ROW, cache_folder / VERSION / "rows" if cache_folder else None)
    readable: list[LesionRecord] = []
    bad: list[BadImage] = []
    found = _look_at_all(records, store, "Reading images", reporter, ray)
    while batch := list(islice(found, _BATCH)):
        bad += [seen for seen in batch if isinstance(seen, BadImage)]
        seen_well = [seen for seen in batch if not isinstance(seen, BadImage)]
        readable += [record for record, _ in seen_well]
        measured = {str(record.sha256): row for record, row in seen_well if row is not None}
        if new := {key: row for key, row in measured.items() if key not in store}:
            store.append(list(new), np.stack(list(new.values())))
    places = store.places([record.sha256 for record in readable])
    return Fingerprints(
        readable=tuple(readable),
        bad=tuple(bad),
        pixels=tuple(row.tobytes().hex() for row in store.rows.read(places, field="pixels")),
        statistics=store.rows.read(places, field="statistics"),
        thumbnails=ChosenRows(store.rows, places, "thumbnail"),
    )


def leave_out_bad(bad: Sequence[BadImage], *, total: int, reporter: Reporter) -> None:
    """Say which of `total` pictures work goes on without.

    Raises:
        EdgeMelanomaError: they are more than 5 %.
    """
    shown = " ".join(image.reason for image in bad[:EXAMPLES_SHOWN])
    more = f" (and {len(bad) - EXAMPLES_SHOWN} more)" if len(bad) > EXAMPLES_SHOWN else ""
    told = f"{len(bad)} unreadable image{'s' if len(bad) != 1 else ''}: {shown}{more}"
    if len(bad) > LARGEST_BAD_SHARE * total:
        raise EdgeMelanomaError(
            f"{len(bad)} of {total} images cannot be used, more than {LARGEST_BAD_SHARE:.0%}; "
            f"mend or remove them first: {told}"
        )
    if bad:
        reporter.say(f"Going on without {told}")


def default_fingerprint_folder() -> Path:
    """The user's cache folder for fingerprints and pairs of copies."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("edge-melanoma"))


def _look_at_all(
    records: Sequence[LesionRecord],
    store: RowStore | None,
    label: str,
    reporter: Reporter,
    ray: RayWorkers | None,
) -> Iterator[Seen | BadImage]:
    """Without a store nothing is measured; Ray's actors know what is in it at the beginning."""
    if ray is not None:
        look = partial(_look_at, known=None if store is None else store.keys())
        results = map_by_ray(lambda: look, records, ray)
        yield from reporter.track(results, label=label, total=len(records))
        return
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = map_ahead(pool, partial(_look_at, known=store), records)
        yield from reporter.track(results, label=label, total=len(records))


def _look_at(record: LesionRecord, *, known: Container[str | None] | None) -> Seen | BadImage:
    if known is not None and record.sha256 in known:
        return record, None
    try:
        data = read_image_bytes(record.path)
        found = replace(record, sha256=sha256_of(data))
        if known is not None and found.sha256 in known:
            return found, None
        pixels = decode_image(data, name=str(record.path))
    except UnreadableImageError as error:
        return BadImage(image_id=record.image_id, reason=str(error))
    return found, None if known is None else _row_of(pixels, data)


def _row_of(pixels: NDArray[np.uint8], data: bytes) -> Any:
    row = np.zeros((), dtype=ROW)
    content = hashlib.sha256(repr(pixels.shape).encode())
    content.update(pixels.data)
    size = (THUMBNAIL_SIZE, THUMBNAIL_SIZE)
    row["pixels"] = np.frombuffer(content.digest(), np.uint8)
    row["statistics"] = measure_picture(pixels, data=data)
    row["thumbnail"] = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
    return row
