"""What the epochs of a stage show: which pictures in which order, and the batches made of them.

Everything follows from the seed, the number of the stage and the epoch, so that an interrupted
training goes on with the very same batches.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.images import IMAGE_SIZE, resize_image, scale_pixels, stream_images
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.machine.tensorflow import tf_keras
from edge_melanoma.network.recipes import Augmentation
from edge_melanoma.training.activations import CachedActivations, FrozenPrefix
from edge_melanoma.training.appearance import vary_appearance
from edge_melanoma.training.augmentation import augment_images
from edge_melanoma.training.devices import Devices

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
class PictureBatches:
    """Pictures of a side length, varied anew each epoch if asked for, passed through `prefix`.

    They are read from `store` where it is given, else decoded from `files` ahead of their use. The
    variations depend on `seed`, the epoch and the image alone.
    """

    files: Sequence[Path]
    labels: NDArray[np.float32]
    seed: tuple[int, ...]
    augmentation: Augmentation | None = None
    image_size: int = IMAGE_SIZE
    store: CachedActivations | None = None
    prefix: FrozenPrefix | None = None

    def batches(self, order: NDArray[np.int64], *, batch_size: int, epoch: int) -> Iterator[Batch]:
        """Batches decoded ahead by threads while the network works."""
        start = 0
        for pixels in self._pixels(order, batch_size=batch_size):
            positions = order[start : start + len(pixels)]
            start += len(pixels)
            inputs = self._vary(pixels, positions, epoch)
            yield self.prefix(inputs) if self.prefix else inputs, self.labels[positions]

    def _pixels(self, order: NDArray[np.int64], *, batch_size: int) -> Iterator[NDArray[np.uint8]]:
        if self.store is None:
            yield from stream_images([self.files[i] for i in order], batch_size=batch_size)
            return
        for start in range(0, len(order), batch_size):
            yield np.asarray(self.store.gather(order[start : start + batch_size]), dtype=np.uint8)

    def _vary(
        self, pixels: NDArray[np.uint8], positions: NDArray[np.int64], epoch: int
    ) -> NDArray[np.float32]:
        if self.augmentation is None:
            if self.image_size != pixels.shape[1]:
                pixels = np.stack([resize_image(one, size=self.image_size) for one in pixels])
            return scale_pixels(pixels)
        seeds = np.stack([[*self.seed, epoch, position] for position in positions])
        varied = augment_images(pixels, self.augmentation, seeds=seeds, size=self.image_size)
        if self.augmentation.appearance is None:
            return scale_pixels(varied)
        return vary_appearance(scale_pixels(varied), self.augmentation.appearance, seeds=seeds)


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


class EpochBatches(tf_keras.utils.Sequence):  # type: ignore[misc]  # tf_keras is untyped
    """Epoch after epoch of batches, for `fit(shuffle=False)`, from the epoch number `epoch` on.

    `order` gives the positions of an epoch's images, as many in each. A batch is inputs (n, ...)
    and (n, 2): what to learn, and the row's place in the epoch. Of each batch a process gets its
    own share. Keras would reorder batches by chance: batches that are not
    asked for in their order are refused. `error` is what a batch could not be made for, which
    TensorFlow tells as an error of its own.
    """

    def __init__(
        self,
        source: BatchSource,
        order: Callable[[int], NDArray[np.int64]],
        *,
        batch_size: int,
        label_smoothing: float,
        epoch: int,
        devices: Devices,
    ) -> None:
        self.error: Exception | None = None
        self._source, self._order, self._devices = source, order, devices
        self._batch_size = batch_size
        self._smoothing = np.float32(label_smoothing)
        self._epoch, self._next = epoch, 0
        self._stream: Iterator[Batch] = iter(())
        self._steps = -(-len(order(epoch)) // batch_size)

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> Batch:
        if index == 0:
            self._stream = self._begin()
        elif index != self._next:
            raise IndexError(f"batch {index} was asked for instead of {self._next}")
        self._next = index + 1
        try:
            return next(self._stream)
        except Exception as error:
            self.error = error
            raise

    def on_epoch_end(self) -> None:
        """Go on to the next epoch."""
        self._epoch += 1

    def for_each_device(self) -> Iterator[Batch]:
        """The shares of this process' devices in turn, of epoch after epoch without end."""
        while True:
            for index in range(len(self)):
                parts = [np.array_split(whole, self._devices.local) for whole in self[index]]
                yield from zip(*parts, strict=True)
            self.on_epoch_end()

    def _begin(self) -> Iterator[Batch]:
        order, size, devices = self._order(self._epoch), self._batch_size, self._devices
        places = np.concatenate(
            [
                np.array_split(np.arange(start, min(start + size, len(order))), devices.workers)[
                    devices.index
                ]
                for start in range(0, len(order), size)
            ]
        )
        own_size = size // devices.workers
        batches = self._source.batches(order[places], batch_size=own_size, epoch=self._epoch)
        start = 0
        for inputs, labels in batches:
            wanted = labels * (1 - 2 * self._smoothing) + self._smoothing
            rows = places[start : start + len(inputs)].astype(np.float32)
            start += len(inputs)
            yield inputs, np.stack([wanted, rows], axis=1)


def draw_epoch(
    records: Sequence[LesionRecord], *, source_share: float | None, random: np.random.Generator
) -> NDArray[np.int64]:
    """Positions in `records`, in the order of the epoch.

    Without `source_share`, or of one data set, every picture once. With it every picture of the
    largest data set once and, from each other one, that share of as many: half of them benign, half
    malignant, each drawn again only after all of its class have been.
    """
    sizes = Counter(record.source for record in records)
    if source_share is None or len(sizes) < 2:
        return random.permutation(len(records))
    (largest, size), *others = sizes.most_common()
    parts = [_positions(records, largest)]
    for source, _ in others:
        for is_malignant in (False, True):
            members = _positions(records, source, is_malignant=is_malignant)
            parts.append(_draw(members, round(size * source_share / 2), random))
    return random.permutation(np.concatenate(parts))


def _positions(
    records: Sequence[LesionRecord], source: str | None, *, is_malignant: bool | None = None
) -> NDArray[np.int64]:
    return np.array(
        [
            position
            for position, record in enumerate(records)
            if record.source == source and is_malignant in {None, record.is_malignant}
        ],
        dtype=np.int64,
    )


def _draw(members: NDArray[np.int64], count: int, random: np.random.Generator) -> NDArray[Any]:
    if not len(members):
        return members
    rounds = [random.permutation(members) for _ in range(-(-count // len(members)))]
    return np.concatenate(rounds)[:count] if rounds else members[:0]
