"""The one way from an image file to the network's pixels, everywhere the same.

Pillow decodes, see `decoding`; EXIF turns are applied; the whole frame, or what `Crop` leaves of
it, is squashed to 224x224 by the resize `triangle-22bit-v1`, an antialiasing triangle filter in
22-bit fixed point:

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

import os
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_melanoma.data.decoding import UnreadableImageError, decode_image
from edge_melanoma.errors import printable
from edge_melanoma.machine.processes import map_ahead

IMAGE_SIZE = 224
RESIZE_ID = "triangle-22bit-v1"
LARGEST_FILE_BYTES = 48 * 2**20
"""Refused above, unread: the whole file is held beside its pixels."""


def read_image(file: Path) -> NDArray[np.uint8]:
    """The picture in `file` as the network sees it: (224, 224, 3) RGB.

    Raises:
        UnreadableImageError: the file is missing, empty, truncated or no picture.
    """
    return resize_image(decode_image(read_image_bytes(file), name=str(file)))


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
        raise UnreadableImageError(
            f"The image {os.fsencode(file)!r} has a name that is not UTF-8."
        ) from error
    except OSError as error:
        raise UnreadableImageError(
            f"The image {printable(str(file))} cannot be read: {error.strerror}."
        ) from error
    if not data:
        raise UnreadableImageError(f"The image {printable(str(file))} is empty.")
    return data


def resize_image(pixels: NDArray[np.uint8], *, size: int = IMAGE_SIZE) -> NDArray[np.uint8]:
    """Squash the whole frame (height, width, 3) to (size, size, 3).

    Two calls pin the order of the passes, which Pillow 13 changed for tall pictures.
    """
    image = Image.fromarray(pixels)
    rows = image.resize((size, image.height), Image.Resampling.BILINEAR)
    return np.asarray(rows.resize((size, size), Image.Resampling.BILINEAR))


def scale_pixels(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pixels 0..255 as the network's input 0..1: the only place where it is done."""
    return pixels.astype(np.float32) / np.float32(255.0)


def stream_images(
    files: Sequence[Path], *, batch_size: int, workers: int | None = None
) -> Iterator[NDArray[np.uint8]]:
    """Batches (n, 224, 224, 3) of pictures in the order of `files`, read ahead by threads.

    At most two batches and the one being made are held, however many files there are.
    """
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        images = map_ahead(pool, read_image, files, ahead=2 * batch_size)
        while batch := list(islice(images, batch_size)):
            yield np.stack(batch)


def _read_regular_file(path: Path) -> bytes:
    """Asked of the opened file and not of its name, and opened without waiting: a pipe may have
    taken the file's place in between, and would block for ever.
    """
    irregular = UnreadableImageError(
        f"The image {printable(str(path))} is missing or is not a regular file."
    )
    if not path.is_file():
        raise irregular
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise irregular
        if status.st_size > LARGEST_FILE_BYTES:
            raise UnreadableImageError(
                f"The image {printable(str(path))} has {status.st_size} bytes; "
                f"at most {LARGEST_FILE_BYTES} are read."
            )
        return stream.read()
