"""Draws the pictures of the golden vectors, whose bytes are kept: other encoders write others.

    python -m edge_melanoma.converters.golden_pictures DIR

Odd sizes, both formats, all EXIF turns, sides that are enlarged, kept and made smaller, and tall
pictures, whose passes some libraries take in another order. They are generated, not photographs.
"""

import argparse
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from edge_melanoma.atomic_writing import write_atomically
from edge_melanoma.phantoms import draw_phantom

JPEG_QUALITY = 90

STORED_AS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How an upright picture lies in a file of each EXIF orientation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenPicture:
    """A picture as it is upright, and how it is stored; `drawn` names its content."""

    drawn: str
    width: int
    height: int
    suffix: str
    orientation: int = 1


PICTURES = (
    GoldenPicture(drawn="malignant", width=224, height=224, suffix="png"),
    GoldenPicture(drawn="benign", width=223, height=227, suffix="png"),
    GoldenPicture(drawn="noise", width=1, height=1, suffix="png"),
    GoldenPicture(drawn="noise", width=1, height=331, suffix="png"),
    GoldenPicture(drawn="noise", width=331, height=1, suffix="png"),
    GoldenPicture(drawn="ramp", width=257, height=97, suffix="png"),
    GoldenPicture(drawn="malignant", width=127, height=331, suffix="png"),
    GoldenPicture(drawn="noise", width=61, height=89, suffix="png"),
    GoldenPicture(drawn="malignant", width=300, height=300, suffix="jpg"),
    GoldenPicture(drawn="benign", width=641, height=479, suffix="jpg", orientation=6),
    GoldenPicture(drawn="malignant", width=479, height=641, suffix="jpg", orientation=8),
    GoldenPicture(drawn="benign", width=353, height=251, suffix="jpg", orientation=3),
    GoldenPicture(drawn="malignant", width=211, height=509, suffix="jpg", orientation=5),
    GoldenPicture(drawn="benign", width=397, height=263, suffix="jpg", orientation=2),
    GoldenPicture(drawn="malignant", width=263, height=397, suffix="jpg", orientation=7),
    GoldenPicture(drawn="malignant", width=1009, height=757, suffix="jpg", orientation=4),
)


def main() -> None:
    """Write all pictures into a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for number, picture in enumerate(PICTURES, start=1):
        path = folder / f"golden_{number:02d}.{picture.suffix}"
        write_atomically(path, encode_picture(picture, seed=number))


def encode_picture(picture: GoldenPicture, *, seed: int) -> bytes:
    """The bytes of a picture's file."""
    image = Image.fromarray(_draw(picture, seed=seed))
    turn = STORED_AS[picture.orientation]
    stored = image if turn is None else image.transpose(turn)
    exif = Image.Exif()
    if picture.orientation != 1:
        exif[ExifTags.Base.Orientation] = picture.orientation
    stream = io.BytesIO()
    if picture.suffix == "png":
        stored.save(stream, "PNG", optimize=True)
    else:
        stored.save(stream, "JPEG", quality=JPEG_QUALITY, exif=exif)
    return stream.getvalue()


def _draw(picture: GoldenPicture, *, seed: int) -> NDArray[np.uint8]:
    shape = (picture.height, picture.width, 3)
    if picture.drawn == "noise":
        return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    if picture.drawn == "ramp":
        row, column, channel = np.indices(shape)
        return np.asarray((column + 85 * channel + row // 8) % 256, dtype=np.uint8)
    return draw_phantom(
        is_malignant=picture.drawn == "malignant",
        seed=seed,
        width=picture.width,
        height=picture.height,
    )


if __name__ == "__main__":
    main()
