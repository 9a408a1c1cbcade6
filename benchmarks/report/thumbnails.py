"""Small copies of flipped pictures, as data URIs: pixels alone, nothing of the file's metadata."""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence

from PIL import Image

from edge_melanoma.benchmarks.parity.flips import KIND_NAMES, FlippedImage
from edge_melanoma.data.images import read_image
from edge_melanoma.data.lesions import LesionRecord

SIDE = 112
JPEG_QUALITY = 78
LARGEST_TOTAL = 2_000_000
"""Bytes of data URIs in a page, each as often as it is shown, so that it stays below 5 MB."""


def make_thumbnails(
    records: Sequence[LesionRecord], candidates: Iterable[Sequence[FlippedImage]]
) -> dict[str, str]:
    """Data URIs by image id, lost malignant of all candidates first, until the room is used up.

    A picture is as the network sees it: upright and squashed to a square.
    """
    by_id = {record.image_id: record for record in records}
    shown = [image for images in candidates for image in images]
    made: dict[str, str] = {}
    room = LARGEST_TOTAL
    for kind in KIND_NAMES:
        for image in shown:
            if image.kind != kind:
                continue
            uri = made.get(image.image_id) or _encode(by_id[image.image_id])
            room -= len(uri)
            if room < 0:
                return made
            made[image.image_id] = uri
    return made


def shown_thumbnails(thumbnails: Mapping[str, str]) -> dict[str, str]:
    """Those of a stored file that are such data URIs, and nothing else that a page might load."""
    prefix = "data:image/jpeg;base64,"
    return {name: uri for name, uri in thumbnails.items() if str(uri).startswith(prefix)}


def _encode(record: LesionRecord) -> str:
    small = Image.fromarray(read_image(record.path)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, format="JPEG", quality=JPEG_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
