"""What is known of each picture besides its label: the patient, the skin, what lies over it."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from edge_melanoma.card.artefacts import Artefact, find_artefacts
from edge_melanoma.card.skin_tone import SkinTone, classify_skin_tone
from edge_melanoma.data.images import read_image
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.terminal import Reporter

AGE_BANDS = ((30.0, "under 30"), (50.0, "30 to 49"), (70.0, "50 to 69"), (131.0, "70 and over"))
"""Each with the age in years below which it ends; 130 is more than anyone has reached."""

STATED = ("age", "sex", "site", "diagnosis")
"""Attributes that a labels.csv may give."""

SKIN_TONE = "skin tone"
ATTRIBUTES = (*STATED, SKIN_TONE, *(artefact.value for artefact in Artefact))
SEEN, NOT_SEEN = "seen", "not seen"
ORDER = (*(band for _, band in AGE_BANDS), *(tone.value for tone in SkinTone), SEEN, NOT_SEEN)
"""How the values of an attribute are sorted; others by their number of pictures."""

Traits = Mapping[str, str]
"""Attribute to value, of one picture; what is not known is not there."""


def read_traits(records: Sequence[LesionRecord], *, reporter: Reporter) -> tuple[Traits, ...]:
    """The traits of each picture, those of its pixels included.

    Raises:
        EdgeMelanomaError: an age that is no number of years, or a picture that cannot be read.
    """
    stated = [traits_from_table(record) for record in records]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        seen = reporter.track(
            pool.map(_traits_from_pixels, records),
            label="Looking for skin tone, hair, ruler, ink, corners, blur",
            total=len(records),
        )
        return tuple({**said, **found} for said, found in zip(stated, seen, strict=True))


def traits_from_table(record: LesionRecord) -> dict[str, str]:
    """Age band, sex, site and diagnosis, as far as the labels.csv states them."""
    traits = dict(record.attributes)
    if "age" in traits:
        traits["age"] = _band_of(traits["age"], record.image_id)
    return traits


def _band_of(age: str, image_id: str) -> str:
    try:
        years = float(age)
    except ValueError:
        years = -1.0
    for end, band in AGE_BANDS:
        if 0 <= years < end:
            return band
    raise EdgeMelanomaError(
        f"The labels.csv gives the image {image_id} the age '{age}'; "
        f"expected years from 0 to 130, or nothing."
    )


def _traits_from_pixels(record: LesionRecord) -> dict[str, str]:
    pixels = read_image(record.path)
    found = find_artefacts(pixels)
    traits = {artefact.value: SEEN if artefact in found else NOT_SEEN for artefact in Artefact}
    tone = classify_skin_tone(pixels)
    return traits if tone is None else {SKIN_TONE: tone.value, **traits}
