"""Which pictures of a data set can be read at all, found before any long work begins."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from edge_melanoma.data.decoding import UnreadableImageError
from edge_melanoma.data.images import decode_image, hash_bytes, read_image_bytes
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.ahead import map_ahead
from edge_melanoma.machine.progress import Reporter, SilentReporter

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
    return found if isinstance(found, BadImage) else replace(record, sha256=hash_bytes(found))


def refuse_many_bad(bad: tuple[BadImage, ...], *, total: int) -> None:
    """More than 5 % of the pictures are an error that is not to be gone on with."""
    if len(bad) > LARGEST_BAD_SHARE * total:
        raise EdgeMelanomaError(
            f"{len(bad)} of {total} images cannot be used, more than {LARGEST_BAD_SHARE:.0%}; "
            f"mend or remove them first: {describe_bad_images(bad)}"
        )
