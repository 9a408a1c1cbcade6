"""The pictures that set the ranges of a quantised network: training side only, both classes."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.images import (
    IMAGE_SIZE,
    read_image,
    read_image_bytes,
    scale_pixels,
    stream_images,
)
from edge_melanoma.data.lesions import LesionRecord, count_classes
from edge_melanoma.data.splits import fingerprint_of
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
    """Training images in equal number of each class, and the seed that drew them.

    One all-black and one all-white picture are added to them: they pin the input's range to exactly
    0..1, so that the integer input is q = pixel - 128 without rounding.

    Raises:
        EdgeMelanomaError: a class is missing, or an image is not of the training side.
    """

    records: tuple[LesionRecord, ...]
    seed: int
    training_hashes: Mapping[str, str]

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
        shape = (1, IMAGE_SIZE, IMAGE_SIZE, 3)
        yield scale_pixels(np.zeros(shape, np.uint8))
        yield scale_pixels(np.full(shape, 255, np.uint8))
        for record in self.records:
            yield scale_pixels(read_image(record.path)[np.newaxis])

    def batches(self) -> Iterator[NDArray[np.float32]]:
        """Network inputs of the images alone, (16, 224, 224, 3) and a rest."""
        for images in stream_images([r.path for r in self.records], batch_size=BATCH_SIZE):
            yield scale_pixels(images)

    def sample(self) -> NDArray[np.float32]:
        """Network inputs of a few images, (n, 224, 224, 3), as many of each class."""
        half = SAMPLE_SIZE // 2
        benign = [record for record in self.records if not record.is_malignant][:half]
        malignant = [record for record in self.records if record.is_malignant][:half]
        return scale_pixels(np.stack([read_image(r.path) for r in [*benign, *malignant]]))

    @property
    def fingerprint(self) -> str:
        """sha256 over ids, labels and bytes of the images, whatever their order."""
        hashes = self.training_hashes
        return fingerprint_of(
            {"train": [replace(r, sha256=hashes[r.image_id]) for r in self.records]}
        )

    def as_dict(self) -> dict[str, Any]:
        """For the manifest of an exported model."""
        benign, malignant = count_classes(self.records)
        return {
            "images": len(self.records),
            "benign": benign,
            "malignant": malignant,
            "seed": self.seed,
            "pinned": list(PINNED),
            "ids": [record.image_id for record in self.records],
            "sha256": [self.training_hashes[record.image_id] for record in self.records],
        }


def draw_calibration_set(
    records: Sequence[LesionRecord], *, split: Mapping[str, Any], images: int | None, seed: int
) -> CalibrationSet:
    """Draw from the training side that `split` (the content of split.json) lists.

    `records` are those of the run's data folder; a drawn picture must still have the bytes it was
    trained with. Without `images`, `DEFAULT_IMAGES` are drawn, or all that a smaller training side
    has in equal number of each class.

    Raises:
        EdgeMelanomaError: too few images asked for or there, or a picture has changed.
    """
    if images is not None and images < SMALLEST_IMAGES:
        raise EdgeMelanomaError(
            f"--calibration-images is {images}; expected at least {SMALLEST_IMAGES}, "
            f"and {DEFAULT_IMAGES} or more for a model that is used."
        )
    members = _shuffled_training_side(records, split=split, seed=seed)
    most = 2 * min(len(side) for side in members)
    if most < SMALLEST_IMAGES:
        raise EdgeMelanomaError(
            f"The training side has {len(members[0])} benign and {len(members[1])} malignant "
            f"images; calibrating takes {SMALLEST_IMAGES // 2} of each at least. Train on more, or "
            f"export with --quantize none, which takes none."
        )
    wanted = min(DEFAULT_IMAGES, most) if images is None else images
    drawn = _take(members, images=wanted, place=0)
    if len(drawn) < wanted:
        raise EdgeMelanomaError(
            f"--calibration-images {wanted} asks for more than the training side has in equal "
            f"number of each class; give at most {most}."
        )
    return _make_set(drawn, hashes=_training_hashes(split), seed=seed)


def draw_disjoint_sets(
    records: Sequence[LesionRecord],
    *,
    split: Mapping[str, Any],
    images: int,
    sets: int,
    seed: int,
) -> tuple[CalibrationSet, ...]:
    """So many sets of `images` each that no image is in two, none if there are too few images.

    The first is what `draw_calibration_set` draws.

    Raises:
        EdgeMelanomaError: a picture has changed.
    """
    members = _shuffled_training_side(records, split=split, seed=seed)
    drawn = [_take(members, images=images, place=place) for place in range(sets)]
    if any(len(part) < images for part in drawn):
        return ()
    hashes = _training_hashes(split)
    return tuple(_make_set(part, hashes=hashes, seed=seed) for part in drawn)


def _shuffled_training_side(
    records: Sequence[LesionRecord], *, split: Mapping[str, Any], seed: int
) -> tuple[list[LesionRecord], list[LesionRecord]]:
    """Benign and malignant images."""
    training_ids = set(split["train"])
    sides: tuple[list[LesionRecord], list[LesionRecord]] = ([], [])
    for record in records:
        if record.image_id in training_ids:
            sides[record.is_malignant].append(record)
    for is_malignant in (False, True):
        random.Random(f"{seed}-{is_malignant}").shuffle(sides[is_malignant])
    return sides


def _take(
    members: tuple[list[LesionRecord], list[LesionRecord]], *, images: int, place: int
) -> list[LesionRecord]:
    """Half of each class, an odd one malignant: those after the images of the `place` before."""
    counts = (images // 2, (images + 1) // 2)
    return [
        record
        for side, count in zip(members, counts, strict=True)
        for record in side[place * count : (place + 1) * count]
    ]


def _training_hashes(split: Mapping[str, Any]) -> dict[str, str]:
    return {image_id: split["sha256"][image_id] for image_id in split["train"]}


def _make_set(
    drawn: Sequence[LesionRecord], *, hashes: Mapping[str, str], seed: int
) -> CalibrationSet:
    for record in drawn:
        if sha256_of(read_image_bytes(record.path)) != hashes[record.image_id]:
            raise EdgeMelanomaError(
                f"The image {record.path} has changed since the training; restore it."
            )
    return CalibrationSet(records=tuple(drawn), seed=seed, training_hashes=hashes)
