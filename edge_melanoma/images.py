"""The one way from an image file to the network's pixels, everywhere the same.

Pillow decodes; EXIF turns are applied; the whole frame is squashed to 224x224 by an antialiasing
triangle filter in 22-bit fixed point, first along the rows, then along the columns.
"""

import hashlib
import io
import os
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from edge_melanoma.errors import EdgeMelanomaError

IMAGE_SIZE = 224
RESIZE_ID = "triangle-22bit-v1"
LARGEST_PIXEL_COUNT = 100_000_000
"""Refused above: a picture of 12000x12000 takes 2 GB, and no dermatoscope makes one."""

SIXTEEN_BIT_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I"})


class UnreadableImageError(EdgeMelanomaError):
    """A file that is not a whole picture."""


def read_image(path: Path) -> NDArray[np.uint8]:
    """The picture at `path` as the network sees it: (224, 224, 3) RGB.

    Raises:
        UnreadableImageError: the file is missing, empty, truncated or no picture.
    """
    return np.asarray(_squash(_open_upright(read_image_bytes(path), name=str(path)), IMAGE_SIZE))


def read_image_bytes(path: Path) -> bytes:
    """The bytes of a regular file; anything else (a folder, a pipe) is refused unopened."""
    if not _is_utf8(path):
        raise UnreadableImageError(f"The image {os.fsencode(path)!r} has a name that is not UTF-8.")
    try:
        if not path.is_file():
            raise UnreadableImageError(f"The image {path} is missing or is not a regular file.")
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableImageError(f"The image {path} cannot be read: {error.strerror}.") from error
    if not data:
        raise UnreadableImageError(f"The image {path} is empty.")
    return data


def decode_image(data: bytes, *, name: str) -> NDArray[np.uint8]:
    """RGB pixels (height, width, 3) of an encoded picture, turned upright.

    A full decode is the only reliable check: Pillow's `verify` passes truncated JPEGs.
    """
    return np.asarray(_open_upright(data, name=name))


def resize_image(pixels: NDArray[np.uint8], *, size: int = IMAGE_SIZE) -> NDArray[np.uint8]:
    """Squash the whole frame (height, width, 3) to (size, size, 3).

    Two calls pin the order of the passes, which Pillow 13 changed for tall pictures.
    """
    return np.asarray(_squash(Image.fromarray(pixels), size))


def scale_pixels(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pixels 0..255 as the network's input 0..1: the only place where it is done."""
    return pixels.astype(np.float32) / np.float32(255.0)


def hash_bytes(data: bytes) -> str:
    """sha256 of a file's bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def stream_images(
    paths: Sequence[Path], *, batch_size: int, workers: int | None = None
) -> Iterator[NDArray[np.uint8]]:
    """Batches (n, 224, 224, 3) of pictures in the order of `paths`, read ahead by threads.

    At most two batches and the one being made are held, however many paths there are.
    """
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        queue = iter(paths)
        ahead = deque(pool.submit(read_image, path) for path in islice(queue, 2 * batch_size))
        batch: list[NDArray[np.uint8]] = []
        while ahead:
            batch.append(ahead.popleft().result())
            ahead.extend(pool.submit(read_image, path) for path in islice(queue, 1))
            if len(batch) == batch_size or not ahead:
                yield np.stack(batch)
                batch = []


def _open_upright(data: bytes, *, name: str) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as image:
                if image.width * image.height > LARGEST_PIXEL_COUNT:
                    raise UnreadableImageError(
                        f"The image {name} has {image.width}x{image.height} pixels; "
                        f"at most {LARGEST_PIXEL_COUNT} pixels are read."
                    )
                image.load()
                if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
                    return _to_rgb(ImageOps.exif_transpose(image))
                return _to_rgb(image)
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


def _squash(image: Image.Image, size: int) -> Image.Image:
    rows = image.resize((size, image.height), Image.Resampling.BILINEAR)
    return rows.resize((size, size), Image.Resampling.BILINEAR)


def _is_utf8(path: Path) -> bool:
    """Whether manifests and tables, which are UTF-8, can hold the name."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in SIXTEEN_BIT_MODES:
        # Pillow's own conversion clips 16-bit grey to white.
        grey = np.asarray(image, dtype=np.int64)
        return Image.fromarray((grey >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if "transparency" in image.info or image.mode in {"RGBA", "LA", "PA"}:
        canvas = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(canvas, image.convert("RGBA")).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
