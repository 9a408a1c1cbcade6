"""The pictures that set the ranges of a quantised network: training side only, both classes."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.images import (
    IMAGE_SIZE,
    decode_image,
    read_image_bytes,
    resize_image,
    scale_pixels,
)
from edge_melanoma.data.lesions import LesionRecord, count_classes
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import sha256_of

DEFAULT_IMAGES = 200
SMALLEST_IMAGES = 10
BATCH_SIZE = 16
SAMPLE_SIZE = 64
"""A network's largest tensor takes 5 MB an image, and bias correction holds some six at once."""

PINNED = ("all black", "all white")


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationSet:
    """Training images in equal number of each class, decoded, and the seed that drew them.

    `pixels` are theirs, (n, size, size, 3), in the order of `records`: 30 MB for 200 images. One
    all-black and one all-white picture are added to them: they pin the input's range to exactly
    0..1, so that the integer input is q = pixel - 128 without rounding.

    Raises:
        EdgeMelanomaError: a class is missing, or an image is not of the training side.
    """

    records: tuple[LesionRecord, ...]
    pixels: NDArray[np.uint8] = field(repr=False, compare=False)
    seed: int
    training_hashes: Mapping[str, str] = field(repr=False)

    def __post_init__(self) -> None:
        benign, malignant = count_classes(self.records)
        if not benign or not malignant:
            raise EdgeMelanomaError(
                f"The calibration set has {benign} benign and {malignant} malignant images; "
                f"it needs both classes."
            )
        for record in self.records:
            if record.image_id not in self.training_hashes:
                raise EdgeMelanomaError(
                    f"{record.image_id} is not an image of the run's training side; "
                    f"only those may calibrate."
                )

    def inputs(self) -> Iterator[NDArray[np.float32]]:
        """Network inputs (1, 224, 224, 3), the two pinning pictures first."""
        for level in (0, 255):
            yield scale_pixels(np.full((1, *self.pixels.shape[1:]), level, np.uint8))
        for image in self.pixels:
            yield scale_pixels(image[np.newaxis])

    def batches(self) -> Iterator[NDArray[np.float32]]:
        """Network inputs of the images alone, (16, 224, 224, 3) and a rest."""
        for first in range(0, len(self.pixels), BATCH_SIZE):
            yield scale_pixels(self.pixels[first : first + BATCH_SIZE])

    def sample(self) -> NDArray[np.float32]:
        """Network inputs of a few images, (n, 224, 224, 3), as many of each class."""
        is_malignant = np.array([record.is_malignant for record in self.records])
        sides = [np.flatnonzero(is_malignant == side)[: SAMPLE_SIZE // 2] for side in (False, True)]
        return scale_pixels(self.pixels[np.concatenate(sides)])

    def as_dict(self) -> dict[str, Any]:
        """For the manifest of an exported model."""
        benign, malignant = count_classes(self.records)
        counts = {"images": len(self.records), "benign": benign, "malignant": malignant}
        return counts | {
            "seed": self.seed,
            "pinned": list(PINNED),
            "ids": [record.image_id for record in self.records],
            "sha256": [self.training_hashes[record.image_id] for record in self.records],
        }


def draw_calibration_set(
    records: Sequence[LesionRecord],
    *,
    split: Mapping[str, Any],
    images: int | None,
    seed: int,
    size: int = IMAGE_SIZE,
    place: int = 0,
) -> CalibrationSet:
    """Draw from the training side that `split` (the content of split.json) lists.

    `records` are those of the run's data folder; a drawn picture must still have the bytes it was
    trained with, and is resized to `size` pixels. Without `images`, `DEFAULT_IMAGES` are drawn, or
    all that a smaller training side has in equal number of each class. Sets of one size drawn at
    different `place`s, 0, 1, 2 ..., share no image.

    Raises:
        EdgeMelanomaError: too few images asked for or there, or a picture has changed.
    """
    if images is not None and images < SMALLEST_IMAGES:
        raise EdgeMelanomaError(
            f"--calibration-images is {images}; expected at least {SMALLEST_IMAGES}, "
            f"and {DEFAULT_IMAGES} or more for a model that is used."
        )
    benign, malignant = shuffled_training_side(records, split=split, seed=seed)
    most = 2 * min(len(benign), len(malignant))
    if most < SMALLEST_IMAGES:
        raise EdgeMelanomaError(
            f"The training side has {len(benign)} benign and {len(malignant)} malignant "
            f"images; calibrating takes {SMALLEST_IMAGES // 2} of each at least. Train on more, or "
            f"export with --quantize none, which takes none."
        )
    wanted = min(DEFAULT_IMAGES, most) if images is None else images
    # Half of each class, an odd one malignant.
    shares = (benign, wanted // 2), (malignant, (wanted + 1) // 2)
    drawn = [record for side, n in shares for record in side[place * n : (place + 1) * n]]
    if len(drawn) < wanted:
        raise EdgeMelanomaError(
            f"--calibration-images {wanted} asks for more than the training side has in equal "
            f"number of each class; give at most {most}."
        )
    hashes = {image_id: split["sha256"][image_id] for image_id in split["train"]}
    return CalibrationSet(
        records=tuple(drawn),
        pixels=np.stack([_read(record, hashes[record.image_id], size) for record in drawn]),
        seed=seed,
        training_hashes=hashes,
    )


def shuffled_training_side(
    records: Sequence[LesionRecord], *, split: Mapping[str, Any], seed: int
) -> tuple[list[LesionRecord], list[LesionRecord]]:
    """The benign and the malignant images of the training side, in the order they are drawn in."""
    training_ids = set(split["train"])
    training_side = [record for record in records if record.image_id in training_ids]
    benign, malignant = (
        [record for record in training_side if record.is_malignant == side]
        for side in (False, True)
    )
    random.Random(f"{seed}-False").shuffle(benign)
    random.Random(f"{seed}-True").shuffle(malignant)
    return benign, malignant


def _read(record: LesionRecord, sha256: str, size: int) -> NDArray[np.uint8]:
    data = read_image_bytes(record.path)
    if sha256_of(data) != sha256:
        raise EdgeMelanomaError(
            f"The image {record.path} has changed since the training; restore it."
        )
    return resize_image(decode_image(data, name=str(record.path)), size=size)
