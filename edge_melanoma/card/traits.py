"""What is known of each picture besides its label: the patient, the skin, what lies over it.

Skin tone is the individual typology angle (ITA) of the skin around the lesion: arctan((L* - 50) /
b*) in degrees, in CIELAB under D65; classes of Chardon and others, 1991. The angle was made for
calibrated colorimeters. Here it comes from pictures of unknown cameras, light and white balance,
from skin that the dermatoscope presses, next to a lesion: it orders pictures from light to dark,
and is no measurement of a person's skin.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.card.artefacts import LIMITS, find_artefacts, find_field
from edge_melanoma.data.images import read_image
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.terminal import Reporter

SKIN_TONES = MappingProxyType(
    {
        "very light": 55.0,
        "light": 41.0,
        "intermediate": 28.0,
        "tan": 10.0,
        "brown": -30.0,
        "dark": -np.inf,
    }
)
"""Classes of the individual typology angle, each with the degrees above which it lies."""

AGE_BANDS = ((30.0, "under 30"), (50.0, "30 to 49"), (70.0, "50 to 69"), (131.0, "70 and over"))
"""Each with the age in years below which it ends; 130 is more than anyone has reached."""

STATED = ("age", "sex", "site", "diagnosis")
"""Attributes that a labels.csv may give."""

SKIN_TONE = "skin tone"
ATTRIBUTES = (*STATED, SKIN_TONE, *LIMITS)
SEEN, NOT_SEEN = "seen", "not seen"
ORDER = (*(band for _, band in AGE_BANDS), *SKIN_TONES, SEEN, NOT_SEEN)
"""How the values of an attribute are sorted; others by their number of pictures."""

Traits = Mapping[str, str]
"""Attribute to value, of one picture; what is not known is not there."""

PATCHES, PATCH = 12, 20
RADIUS = 0.8
"""Of the ring of patches, in half side lengths: outside most lesions, inside most round fields."""

FEWEST_PATCHES = 4
SRGB_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
"""IEC 61966-2-1, white point D65."""


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
    traits = {artefact: SEEN if artefact in found else NOT_SEEN for artefact in LIMITS}
    angle = measure_typology_angle(pixels)
    return traits if angle is None else {SKIN_TONE: class_of_angle(angle), **traits}


def class_of_angle(angle: float) -> str:
    """The skin tone of an angle in degrees; a bound belongs to the darker class."""
    return next(tone for tone, lowest in SKIN_TONES.items() if angle > lowest)


def measure_typology_angle(pixels: NDArray[np.uint8]) -> float | None:
    """ITA in degrees of RGB pixels (height, width, 3): the median of the lighter half of a ring.

    The ring's patches are each reduced to their median colour, which hairs do not move; the darker
    half may lie on the lesion. None where fewer than four patches are lit, or where the skin is not
    yellowish (b* of at most 0), as in pictures with a violet or blue cast.
    """
    field = find_field(pixels)
    height, width = field.shape
    turns = 2 * np.pi * np.arange(PATCHES) / PATCHES
    rows = height / 2 * (1 + RADIUS * np.sin(turns)) - PATCH / 2
    columns = width / 2 * (1 + RADIUS * np.cos(turns)) - PATCH / 2
    colours = []
    for corner in zip(rows, columns, strict=True):
        window = tuple(slice(round(start), round(start) + PATCH) for start in corner)
        if field[window].mean() > 0.9:
            colours.append(np.median(pixels[window].reshape(-1, 3), axis=0))
    if len(colours) < FEWEST_PATCHES:
        return None
    lab = to_lab(np.array(colours))
    lighter = lab[lab[:, 0] >= np.median(lab[:, 0])]
    lightness, yellow = np.median(lighter[:, 0]), np.median(lighter[:, 2])
    return float(np.degrees(np.arctan2(lightness - 50, yellow))) if yellow > 0 else None


def to_lab(colours: NDArray[np.floating]) -> NDArray[np.float64]:
    """CIELAB (n, 3) under D65 of sRGB colours 0..255 (n, 3)."""
    encoded = np.asarray(colours, dtype=np.float64) / 255
    linear = np.where(encoded > 0.04045, ((encoded + 0.055) / 1.055) ** 2.4, encoded / 12.92)
    ratio = linear @ SRGB_TO_XYZ.T / SRGB_TO_XYZ.sum(axis=1)
    root = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = root.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)
