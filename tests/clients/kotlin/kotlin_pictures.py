"""Pictures of odd sizes, turns and crops for the Kotlin client, with what Python makes of them."""

import io
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from edge_melanoma.data.crops import Crop
from edge_melanoma.data.images import decode_image, resize_image
from edge_melanoma.machine.files import sha256_of

COUNT = 200
EXTREME_SIZES = (
    *[(1, 1), (1, 1000), (1000, 1), (2, 2), (3, 223), (224, 224), (225, 223), (448, 448)],
    *[(4000, 3000), (3000, 4000), (16, 17), (15, 4001), (257, 16), (1, 2), (224, 1), (1, 224)],
)
"""Width and height as stored. The tall ones are where Pillow changed the order of its passes."""

PRIMES = (7, 13, 31, 97, 127, 223, 227, 311, 449, 673, 911)


@dataclass(frozen=True, slots=True, kw_only=True)
class OddPicture:
    """A picture as it is stored, how it is to be turned and cropped, and its upright pixels."""

    file: str
    stored: NDArray[np.uint8]
    exif_orientation: int
    crop: Crop
    upright: NDArray[np.uint8]

    def resized(self, *, crop: Crop) -> NDArray[np.uint8]:
        """The network's pixels (224, 224, 3) of the whole frame or of its centre."""
        return resize_image(crop.apply(self.upright))


def odd_pictures() -> Iterator[OddPicture]:
    """The same `COUNT` pictures each time; every fourth is partly transparent."""
    sizes = [*EXTREME_SIZES, *itertools.product(PRIMES, PRIMES), *_random_sizes()][:COUNT]
    for number, (width, height) in enumerate(sizes):
        rng = np.random.default_rng(number)
        stored = _draw(rng, width=width, height=height, is_transparent=number % 4 == 3)
        orientation = number % 8 + 1
        yield OddPicture(
            file=f"{number:03}.argb",
            stored=stored,
            exif_orientation=orientation,
            crop=Crop.CENTRE if number % 3 == 2 else Crop.NONE,
            upright=_decode(stored, orientation=orientation),
        )


def write_picture(folder: Path, picture: OddPicture) -> dict[str, object]:
    """Put the stored pixels into `folder` as big-endian 0xAARRGGBB; returns the index entry."""
    argb = picture.stored[..., [3, 0, 1, 2]]
    (folder / picture.file).write_bytes(argb.tobytes())
    return {
        "file": picture.file,
        "width": picture.stored.shape[1],
        "height": picture.stored.shape[0],
        "exif_orientation": picture.exif_orientation,
        "crop": picture.crop,
        "resized_sha256": sha256_of(picture.resized(crop=picture.crop).tobytes()),
    }


def write_decoded(folder: Path, pictures: list[Path]) -> None:
    """For each JPEG its stored pixels as Pillow decodes them, under the file's hash."""
    folder.mkdir()
    for path in pictures:
        with Image.open(path) as image:
            rgb = np.asarray(image.convert("RGB"))
        (folder / f"{sha256_of(path.read_bytes())}.rgb").write_bytes(rgb.tobytes())


def write_index(folder: Path, entries: list[dict[str, object]]) -> None:
    """List the pictures that were written."""
    (folder / "pictures.json").write_text(json.dumps(entries), encoding="utf-8")


def _random_sizes() -> list[tuple[int, int]]:
    rng = np.random.default_rng(0)
    return [(int(width), int(height)) for width, height in rng.integers(1, 700, (COUNT, 2))]


def _draw(
    rng: np.random.Generator, *, width: int, height: int, is_transparent: bool
) -> NDArray[np.uint8]:
    """RGBA: coarse patches, where rounding shows, under noise, where every tap counts."""
    coarse = rng.integers(0, 256, (5, 5, 4), dtype=np.uint8)
    patches = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.NEAREST))
    noise = rng.integers(0, 256, patches.shape, dtype=np.uint8)
    pixels = np.where(rng.random((height, width, 1)) < 0.5, patches, noise).astype(np.uint8)
    if not is_transparent:
        pixels[..., 3] = 255
    return pixels


def _decode(stored: NDArray[np.uint8], *, orientation: int) -> NDArray[np.uint8]:
    """By the product's own way: from the bytes of a PNG file that bears the turn."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stream = io.BytesIO()
    Image.fromarray(stored).save(stream, "PNG", compress_level=1, exif=exif)
    return decode_image(stream.getvalue(), name="picture")
