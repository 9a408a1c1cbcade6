"""The one way from an image file to the network's pixels, everywhere the same.

Pillow decodes, and what is no single picture is refused; EXIF turns are applied; the whole frame,
or what `Crop` leaves of it, is squashed to 224x224 by the resize `triangle-22bit-v1`, an
antialiasing triangle filter in 22-bit fixed point:

Along one side of `size` pixels the step is size / 224, and the radius is the step or 1, whichever
is larger. Output pixel o has its centre at c = (o + 0.5) x step and takes the pixels from
max(0, floor(c - radius + 0.5)) up to, and without, min(size, floor(c + radius + 0.5)). Pixel i
weighs max(0, 1 - |(i - c + 0.5) x (1 / radius)|), divided by the sum of these weights, all in
float64 in this order, added up by growing i; times 2^22, plus 0.5, cut to an integer. The output is
the sum of pixels times integers, plus 2^21, shifted right by 22 bits and clipped to 0..255. The
pass along the rows comes first, over all rows, and is rounded to 8 bits; the pass along the columns
takes what it gave. A side of 224 is left as it is. Pillow does the work: these are the sums that
its `BILINEAR` makes.
"""

import io
import os
import stat
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from edge_melanoma.errors import EdgeMelanomaError, printable
from edge_melanoma.machine.processes import map_ahead

IMAGE_SIZE = 224
ResizeId = Literal["triangle-22bit-v1"]
RESIZE_ID: ResizeId = "triangle-22bit-v1"
"""Of the one resize; a manifest that names another is refused."""
LARGEST_FILE_BYTES = 48 * 2**20
"""Refused above, unread: the whole file is held beside its pixels."""

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


def _unreadable(name: str, why: str) -> UnreadableImageError:
    return UnreadableImageError(f"The image {printable(name)} {why}.")


def read_image(file: Path, *, size: int = IMAGE_SIZE) -> Pixels:
    """The picture in `file` as the network sees it: (size, size, 3) RGB.

    Raises:
        UnreadableImageError: the file is missing, empty, truncated or no picture.
    """
    return resize_image(decode_image(read_image_bytes(file), name=str(file)), size=size)


def read_image_bytes(file: Path) -> bytes:
    """The bytes of a picture, of a regular file; of others (a folder, a pipe) none are read.

    Raises:
        UnreadableImageError: no such file, or none that can be read.
    """
    try:
        str(file).encode()
        data = _read_regular_file(file)
    except UnicodeEncodeError as error:
        # Manifests and tables, which are UTF-8, could not hold the name.
        raise _unreadable(repr(os.fsencode(file)), "has a name that is not UTF-8") from error
    except OSError as error:
        raise _unreadable(str(file), f"cannot be read: {error.strerror}") from error
    if not data:
        raise _unreadable(str(file), "is empty")
    return data


def resize_image(pixels: Pixels, *, size: int = IMAGE_SIZE) -> Pixels:
    """Squash the whole frame (height, width, 3) to (size, size, 3).

    Two calls pin the order of the passes, which Pillow 13 changed for tall pictures.
    """
    image = Image.fromarray(pixels)
    rows = image.resize((size, image.height), Image.Resampling.BILINEAR)
    return np.asarray(rows.resize((size, size), Image.Resampling.BILINEAR))


def scale_pixels(pixels: Pixels) -> NDArray[np.float32]:
    """Pixels 0..255 as the network's input 0..1: the only place where it is done."""
    return pixels.astype(np.float32) / np.float32(255.0)


def stream_images(
    files: Sequence[Path],
    *,
    batch_size: int,
    size: int = IMAGE_SIZE,
    workers: int | None = None,
) -> Iterator[Pixels]:
    """Batches (n, size, size, 3) of pictures in the order of `files`, read ahead by threads.

    At most two batches and the one being made are held, however many files there are.
    """
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        images = map_ahead(pool, partial(read_image, size=size), files, ahead=2 * batch_size)
        while batch := list(islice(images, batch_size)):
            yield np.stack(batch)


def decode_image(data: bytes, *, name: str) -> Pixels:
    """RGB pixels (height, width, 3) of an encoded picture, its EXIF turn undone.

    What is clear becomes white. A colour profile is not applied. A full decode is the only reliable
    check: Pillow's `verify` passes truncated JPEGs.

    Raises:
        UnreadableImageError: truncated, broken, too large, of another format, or several pictures.
    """
    _refuse_by_first_bytes(data, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pixels, orientation = _decode(data, name)
    except UnreadableImageError:
        raise
    except UnidentifiedImageError as error:
        raise _unreadable(name, "is not a picture") from error
    except Image.DecompressionBombError as error:
        why = f"has far more than {LARGEST_PIXEL_COUNT} pixels, the most that are read"
        raise _unreadable(name, why) from error
    except Exception as error:
        # Pillow's decoders raise OSError, SyntaxError, struct.error, ValueError and more on
        # broken files; whatever it was, the file is not a readable picture.
        raise _unreadable(name, f"is truncated or broken: {error}") from error
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
        raise _unreadable(name, "is a Git LFS pointer in place of the picture; run git lfs pull")
    kind = _iso_media_kind(data)
    if kind == "AVIF" or (kind == "HEIC" and "HEIF" not in _formats()):
        way = "install the extra heif, or " if kind == "HEIC" else ""
        what = f"is {'a' if way else 'an'} {kind} picture, which is not read here"
        raise _unreadable(name, f"{what}; {way}convert it to JPEG or PNG")


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
        most = f"{limit} pixels{f' of a {kind}' if kind else ''}"
        raise _unreadable(name, f"has {image.width}x{image.height} pixels; at most {most} are read")


def _refuse_unclear(image: Image.Image, data: bytes, name: str) -> None:
    """Several pictures in one file, levels without a scale, and scans without an end."""
    # Of a phone's MPO the first picture is the photograph; the others are previews or depth.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        why = "holds several pictures, and which one is meant is not known; expected one"
        raise _unreadable(name, why)
    if image.mode == "F":
        why = "has float levels, whose range is not known; expected 8 or 16 bits"
        raise _unreadable(name, why)
    if image.format == "JPEG" and data.count(START_OF_SCAN) > LARGEST_SCAN_COUNT:
        why = f"is a JPEG of more than {LARGEST_SCAN_COUNT} scans, made to take long; convert it"
        raise _unreadable(name, why)


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
    """In strips: beside the file and Pillow's copy, of 4 bytes a pixel, only one array of 3 bytes
    a pixel is held, so that no picture takes more than 400 MB.
    """
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


def _read_regular_file(path: Path) -> bytes:
    """Asked of the opened file and not of its name, and opened without waiting: a pipe may have
    taken the file's place in between, and would block for ever.
    """
    irregular = _unreadable(str(path), "is missing or is not a regular file")
    if not path.is_file():
        raise irregular
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise irregular
        if status.st_size > LARGEST_FILE_BYTES:
            why = f"has {status.st_size} bytes; at most {LARGEST_FILE_BYTES} are read"
            raise _unreadable(str(path), why)
        return stream.read()
