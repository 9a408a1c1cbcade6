"""From the bytes of a picture to upright RGB pixels; what is no single picture is refused.

The pixels are converted in strips: beside the file and Pillow's own copy, of 4 bytes a pixel, only
one array of 3 bytes a pixel is held, so that no picture takes more than 400 MB.
"""

import io
import warnings
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from edge_melanoma.errors import EdgeMelanomaError, printable

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
"""What Pillow may open: others are no photographs, and some of them start programs (EPS)."""

LARGEST_PIXEL_COUNT = 50_000_000
"""Refused above: the largest sensors of phones and cameras have 50 million."""

LARGEST_COSTLY_PIXEL_COUNT = 20_000_000
"""The same of a kind that takes more memory: held several times over, or with a fourth channel."""

LARGEST_SCAN_COUNT = 100
"""Of a progressive JPEG, which has about ten; each takes a pass over the whole picture."""

START_OF_SCAN = b"\xff\xda"
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
STRIP_PIXELS = 4_000_000
SIXTEEN_BIT_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I"})
CLEAR_MODES = frozenset({"RGBA", "LA", "PA"})

Pixels = NDArray[np.uint8]


class UnreadableImageError(EdgeMelanomaError):
    """A file that is not a whole picture."""


def decode_image(data: bytes, *, name: str) -> Pixels:
    """RGB pixels (height, width, 3) of an encoded picture, its EXIF turn undone.

    What is clear becomes white. A colour profile is not applied. A full decode is the only reliable
    check: Pillow's `verify` passes truncated JPEGs.

    Raises:
        UnreadableImageError: truncated, broken, too large, of another format, or several pictures.
    """
    name = printable(name)
    _refuse_by_first_bytes(data, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pixels, orientation = _decode(data, name)
    except UnreadableImageError:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImageError(f"The image {name} is not a picture.") from error
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(
            f"The image {name} has far more than {LARGEST_PIXEL_COUNT} pixels, the most that are "
            f"read."
        ) from error
    except Exception as error:
        # Pillow's decoders raise OSError, SyntaxError, struct.error, ValueError and more on
        # broken files; whatever it was, the file is not a readable picture.
        raise UnreadableImageError(f"The image {name} is truncated or broken: {error}.") from error
    return _turn(pixels, orientation)


def _decode(data: bytes, name: str) -> tuple[Pixels, int]:
    """The pixels as they are stored, and the EXIF orientation; Pillow's own copy is given free."""
    with Image.open(io.BytesIO(data), formats=_formats()) as image:
        _refuse_large(image, name)
        _refuse_unclear(image, data, name)
        image.load()
        return _strips_to_rgb(image), _orientation_of(image)


def _refuse_by_first_bytes(data: bytes, name: str) -> None:
    """Files that are known for what they are, for which there is better advice than `broken`."""
    if data.startswith(LFS_POINTER):
        raise UnreadableImageError(
            f"The image {name} is a Git LFS pointer in place of the picture; run git lfs pull."
        )
    kind = _iso_media_kind(data)
    if kind == "AVIF" or (kind == "HEIC" and "HEIF" not in _formats()):
        way = "install edge-melanoma[heif], or " if kind == "HEIC" else ""
        raise UnreadableImageError(
            f"The image {name} is {'a' if way else 'an'} {kind} picture, which is not read here; "
            f"{way}convert it to JPEG or PNG."
        )


def _iso_media_kind(data: bytes) -> str | None:
    """HEIC, AVIF or neither, by the brands in the first box of the file."""
    if data[4:8] != b"ftyp":
        return None
    box = data[8 : min(int.from_bytes(data[:4]), 256)]
    brands = [box[start : start + 4] for start in (0, *range(8, len(box), 4))]
    if b"avif" in brands or b"avis" in brands:
        return "AVIF"
    return "HEIC" if any(brand[:3] in {b"hei", b"hev", b"mif"} for brand in brands) else None


@cache
def _formats() -> tuple[str, ...]:
    """HEIC too where the extra for it is installed."""
    try:
        import pillow_heif
    except ImportError:
        return FORMATS
    pillow_heif.register_heif_opener()
    return (*FORMATS, "HEIF")


def _refuse_large(image: Image.Image, name: str) -> None:
    kind = None
    if "progressive" in image.info:
        kind = f"progressive {image.format}"
    elif image.format in {"WEBP", "HEIF"}:
        kind = image.format
    elif image.mode in CLEAR_MODES:
        kind = f"{image.format} with transparency"
    limit = LARGEST_COSTLY_PIXEL_COUNT if kind else LARGEST_PIXEL_COUNT
    if image.width * image.height > limit:
        raise UnreadableImageError(
            f"The image {name} has {image.width}x{image.height} pixels; "
            f"at most {limit} pixels{f' of a {kind}' if kind else ''} are read."
        )


def _refuse_unclear(image: Image.Image, data: bytes, name: str) -> None:
    """Several pictures in one file, levels without a scale, and scans without an end."""
    # Of a phone's MPO the first picture is the photograph; the others are previews or depth.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise UnreadableImageError(
            f"The image {name} holds several pictures, and which one is meant is not known; "
            f"expected one."
        )
    if image.mode == "F":
        raise UnreadableImageError(
            f"The image {name} has float levels, whose range is not known; expected 8 or 16 bits."
        )
    if image.format == "JPEG" and data.count(START_OF_SCAN) > LARGEST_SCAN_COUNT:
        raise UnreadableImageError(
            f"The image {name} is a JPEG of more than {LARGEST_SCAN_COUNT} scans, made to take "
            f"long; convert it."
        )


def _orientation_of(image: Image.Image) -> int:
    """How the camera was held, 1 to 8; upright where the EXIF data are broken or say nothing."""
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        # As with the pixels above, every kind of error; the pixels themselves are whole.
        return 1
    return found if found in range(1, 9) else 1


def _turn(pixels: Pixels, orientation: int) -> Pixels:
    """Upright pixels of those that a camera stored under an EXIF orientation."""
    if orientation in {5, 6, 7, 8}:
        pixels = pixels.swapaxes(0, 1)
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _strips_to_rgb(image: Image.Image) -> Pixels:
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        strip = image.crop((0, top, image.width, bottom))
        pixels[top:bottom] = np.asarray(_to_rgb(strip))
    return pixels


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in SIXTEEN_BIT_MODES:
        # Pillow's own conversion clips 16-bit grey to white.
        grey = np.asarray(image, dtype=np.int64)
        return Image.fromarray((grey >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if "transparency" in image.info or image.mode in CLEAR_MODES:
        canvas = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(canvas, image.convert("RGBA")).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
