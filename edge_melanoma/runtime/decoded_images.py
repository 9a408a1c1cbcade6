"""Pictures decoded once for all models: one array in a temporary file that processes share."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.image_files import ImageFile
from edge_melanoma.data.images import IMAGE_SIZE, stream_images
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.progress import Reporter

BYTES_AN_IMAGE = IMAGE_SIZE * IMAGE_SIZE * 3
BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedImages:
    """A file of uint8 pixels (count, 224, 224, 3); small enough to be sent to a child process."""

    path: Path
    count: int

    def open(self) -> NDArray[np.uint8]:
        """The pixels, mapped and not read: every process shares the system's one copy."""
        shape = (self.count, IMAGE_SIZE, IMAGE_SIZE, 3)
        return np.memmap(self.path, dtype=np.uint8, mode="r", shape=shape)


@contextmanager
def decoded(paths: Sequence[ImageFile], *, reporter: Reporter) -> Iterator[DecodedImages]:
    """Decode and resize all of `paths` in their order; the file is gone afterwards.

    Raises:
        EdgeMelanomaError: the temporary folder has not enough room, or a picture is broken.
    """
    with tempfile.TemporaryDirectory(prefix="edge-melanoma-") as folder:
        _refuse_small_disk(Path(folder), len(paths))
        images = DecodedImages(path=Path(folder) / "images.uint8", count=len(paths))
        batches = stream_images(paths, batch_size=BATCH)
        ones = (image for batch in batches for image in batch)
        with images.path.open("wb") as stream:
            for image in reporter.track(ones, label="Decoding", total=len(paths)):
                stream.write(image.tobytes())
        yield images


def _refuse_small_disk(folder: Path, count: int) -> None:
    needed, free = count * BYTES_AN_IMAGE, shutil.disk_usage(folder).free
    if needed > free:
        raise EdgeMelanomaError(
            f"The decoded pixels of {count} images need {needed / 1e6:.3g} MB in "
            f"{folder.parent}, which has {free / 1e6:.3g} MB free; make room, set TMPDIR to "
            f"another folder, or take fewer images with --limit."
        )
