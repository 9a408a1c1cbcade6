"""Where a stage's training and validation batches come from: the activation cache or the pixels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.images import scale_pixels, stream_images
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.network.recipes import Augmentation
from edge_melanoma.training.activations import CachedActivations, FrozenPrefix
from edge_melanoma.training.augmentation import augment_images

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]


class BatchSource(Protocol):
    """Inputs and labels of one side, in any order that is asked for."""

    @property
    def labels(self) -> NDArray[np.float32]:
        """1 for malignant, 0 for benign, shape (n,)."""

    def batches(self, order: NDArray[np.int64], *, batch_size: int, epoch: int) -> Iterator[Batch]:
        """Batches of (inputs, labels) of the images at the positions `order`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedBatches:
    """Activations of unchanging images: the frozen part of the network is never run again."""

    activations: CachedActivations
    labels: NDArray[np.float32]

    def batches(self, order: NDArray[np.int64], *, batch_size: int, epoch: int) -> Iterator[Batch]:
        """Batches gathered from the memory map."""
        for start in range(0, len(order), batch_size):
            positions = order[start : start + batch_size]
            yield self.activations.gather(positions), self.labels[positions]


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelBatches:
    """Pictures read anew each epoch, varied if asked for, and passed through `prefix` if given."""

    records: Sequence[LesionRecord]
    labels: NDArray[np.float32]
    seed: int
    augmentation: Augmentation | None = None
    prefix: FrozenPrefix | None = None

    def batches(self, order: NDArray[np.int64], *, batch_size: int, epoch: int) -> Iterator[Batch]:
        """Batches decoded ahead by threads while the network works."""
        paths = [self.records[position].path for position in order]
        for number, pixels in enumerate(stream_images(paths, batch_size=batch_size)):
            positions = order[number * batch_size : number * batch_size + len(pixels)]
            if self.augmentation is not None:
                seeds = np.stack([[self.seed, epoch, position] for position in positions])
                pixels = augment_images(pixels, self.augmentation, seeds=seeds)
            inputs = scale_pixels(pixels)
            if self.prefix is not None:
                inputs = self.prefix(inputs)
            yield inputs, self.labels[positions]


@dataclass(frozen=True, slots=True, kw_only=True)
class DistilledBatches:
    """The inputs of `source` with a teacher's scores to learn instead of its labels.

    `scores` are P(malignant), shape (n,), in the order of the source's images.
    """

    source: BatchSource
    scores: NDArray[np.float32]

    @property
    def labels(self) -> NDArray[np.float32]:
        """The true labels, for metrics."""
        return self.source.labels

    def batches(self, order: NDArray[np.int64], *, batch_size: int, epoch: int) -> Iterator[Batch]:
        """Batches of (inputs, teacher's scores)."""
        start = 0
        for inputs, _ in self.source.batches(order, batch_size=batch_size, epoch=epoch):
            yield inputs, self.scores[order[start : start + len(inputs)]]
            start += len(inputs)


def labels_of(records: Sequence[LesionRecord]) -> NDArray[np.float32]:
    """1 for malignant, 0 for benign."""
    return np.array([record.is_malignant for record in records], dtype=np.float32)
