"""What the epochs of a stage show: which pictures in which order, and the batches made of them.

Everything follows from the seed, the number of the stage and the epoch, so that an interrupted
training goes on with the very same batches.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.clinics import count_sources, source_of
from edge_melanoma.data.images import IMAGE_SIZE, Pixels, resize_image, scale_pixels, stream_images
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.machine.tensorflow import tf_keras
from edge_melanoma.network.recipes import NAMED_DIAGNOSES, Augmentation, Sampling
from edge_melanoma.training.activations import CachedActivations, FrozenPrefix
from edge_melanoma.training.augmentation import augment_images, vary_appearance
from edge_melanoma.training.devices import Devices

MOST_OFTEN = 6.0
"""Times as often as its class is shown on average, at most, is any picture of it."""

Floats = NDArray[np.float32]
Places = NDArray[np.int64]
"""Positions of pictures among those of a side."""
Batch = tuple[Floats, Floats]


def draw_epoch(
    records: Sequence[LesionRecord], *, sampling: Sampling | None, random: np.random.Generator
) -> Places:
    """Positions in `records`, in the order of the epoch: every picture once, or as `sampling` says.

    A picture is shown again only after all of its source and diagnosis have been. Where no source
    has both classes, all of them count as one.
    """
    if sampling is None:
        return random.permutation(len(records))
    parts = []
    for members, share in cells_of(records, sampling):
        wanted = max(1, round(share * sampling.views))
        rounds = [random.permutation(members) for _ in range(-(-wanted // len(members)))]
        parts.append(np.concatenate(rounds)[:wanted])
    return random.permutation(np.concatenate(parts))


def cells_of(records: Sequence[LesionRecord], sampling: Sampling) -> list[tuple[Places, float]]:
    """The pictures of each source and diagnosis, and their share of an epoch.

    Shares add up to 1.
    """
    weights = dict(sampling.diagnoses)
    rarer = {name: min(counts) for name, counts in count_sources(records).items()}
    several = any(rarer.values())
    roots = {name: count**0.5 for name, count in rarer.items() if count} if several else {"": 1.0}
    classes: dict[tuple[str, bool], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for position, record in enumerate(records):
        source, told = source_of(record) if several else "", dict(record.attributes)
        named = told.get("diagnosis", "")
        cell = classes[source, record.is_malignant]
        cell[named if named in weights else ""].append(position)
    return [
        (
            np.array(members[name]),
            roots[source] / sum(roots.values()) * sampling.share_of(is_malignant) * share,
        )
        for (source, is_malignant), members in classes.items()
        if source in roots
        for name, share in _shares_within(members, weights).items()
    ]


def _shares_within(
    members: Mapping[str, Sequence[int]], weights: Mapping[str, float]
) -> dict[str, float]:
    """Of one class of one source, by diagnosis; those without one keep the share that they have.

    No picture is shown more than `MOST_OFTEN` times as often as the class is on average: what would
    be, leaves its rest to the other diagnoses.
    """
    total = sum(map(len, members.values()))
    natural = {name: len(some) / total for name, some in members.items()}
    most = {name: MOST_OFTEN * share for name, share in natural.items() if name}
    found: dict[str, float] = {name: share for name, share in natural.items() if not name}
    while len(found) < len(natural):
        left = 1 - sum(found.values())
        free = [name for name in most if name not in found]
        whole = sum(weights[name] for name in free)
        wanted = {name: left * weights[name] / whole for name in free}
        rare = {name: most[name] for name in free if wanted[name] > most[name]}
        found |= rare or wanted
    return {name: found[name] for name in natural}


def name_diagnoses(records: Sequence[LesionRecord]) -> Floats:
    """Places in `NAMED_DIAGNOSES`, shape (n,); -1 where not known of both classes of the source.

    Else a diagnosis that is told of one class alone would be learned by what the source looks like.
    """
    named = [dict(record.attributes).get("diagnosis") for record in records]
    told: dict[str, set[bool]] = defaultdict(set)
    for record, name in zip(records, named, strict=True):
        if name:
            told[source_of(record)].add(record.is_malignant)
    codes = {name: code for code, name in enumerate(NAMED_DIAGNOSES)}
    return np.array(
        [
            codes.get(name, codes["other"]) if name and len(told[source_of(record)]) > 1 else -1
            for record, name in zip(records, named, strict=True)
        ],
        dtype=np.float32,
    )


class BatchSource(Protocol):
    """Inputs and labels of one side; the inputs in any order that is asked for."""

    @property
    def labels(self) -> Floats:
        """1 for malignant, 0 for benign, shape (n,)."""

    def batches(self, order: Places, *, batch_size: int, epoch: int) -> Iterator[Floats]:
        """Inputs of the images at the positions `order`, `batch_size` of them at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedBatches:
    """Activations of unchanging images: the frozen part of the network is never run again."""

    activations: CachedActivations
    labels: Floats

    def batches(self, order: Places, *, batch_size: int, epoch: int) -> Iterator[Floats]:
        """Activations gathered from the memory map."""
        return map(self.activations.gather, _parts_of(order, size=batch_size))


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureBatches:
    """Pictures of a side length, varied anew each epoch if asked for, passed through `prefix`.

    They are read from `store` where it is given, else decoded from `files` ahead of their use. The
    variations depend on `seed`, the epoch and the image alone.
    """

    files: Sequence[Path]
    labels: Floats
    seed: tuple[int, ...]
    augmentation: Augmentation | None = None
    image_size: int = IMAGE_SIZE
    store: CachedActivations | None = None
    prefix: FrozenPrefix | None = None

    def batches(self, order: Places, *, batch_size: int, epoch: int) -> Iterator[Floats]:
        """Pictures in 0..1, or what `prefix` makes of them."""
        parts = _parts_of(order, size=batch_size)
        pictures: Iterator[NDArray[Any]]
        if self.store is None:
            pictures = stream_images([self.files[i] for i in order], batch_size=batch_size)
        else:
            pictures = map(self.store.gather, parts)
        for positions, pixels in zip(parts, pictures, strict=True):
            inputs = self._vary(pixels, positions, epoch)
            yield self.prefix(inputs) if self.prefix else inputs

    def _vary(self, pixels: Pixels, positions: Places, epoch: int) -> Floats:
        if self.augmentation is None:
            if self.image_size != pixels.shape[1]:
                pixels = np.stack([resize_image(one, size=self.image_size) for one in pixels])
            return scale_pixels(pixels)
        seeds = np.array([[*self.seed, epoch, position] for position in positions])
        varied = augment_images(pixels, self.augmentation, seeds=seeds, size=self.image_size)
        if self.augmentation.appearance is None:
            return scale_pixels(varied)
        return vary_appearance(scale_pixels(varied), self.augmentation.appearance, seeds=seeds)


class EpochBatches(tf_keras.utils.Sequence):  # type: ignore[misc]  # tf_keras is untyped
    """Epoch after epoch of batches, for `fit(shuffle=False)`, from the epoch number `epoch` on.

    `order` gives the positions of an epoch's images, as many in each. A batch is inputs (n, ...)
    and (n, 1 + k): the row's place in the epoch and what to learn, its row of `targets`. Of each
    batch a process gets its own share. Keras would reorder batches by chance: batches that are not
    asked for in their order are refused. `rows` are the images of an epoch, `error` is what a batch
    could not be made for, which TensorFlow tells as an error of its own.
    """

    def __init__(
        self,
        source: BatchSource,
        order: Callable[[int], Places],
        *,
        targets: Floats,
        batch_size: int,
        epoch: int,
        devices: Devices,
    ) -> None:
        self.error: Exception | None = None
        self._source, self._order, self._targets, self._devices = source, order, targets, devices
        self._batch_size = batch_size
        self._epoch, self._next = epoch, 0
        self._stream: Iterator[Batch] = iter(())
        self.rows = len(order(epoch))

    def __len__(self) -> int:
        return -(-self.rows // self._batch_size)

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
        order, devices = self._order(self._epoch), self._devices
        places = [
            np.array_split(whole, devices.workers)[devices.index]
            for whole in _parts_of(np.arange(len(order)), size=self._batch_size)
        ]
        batches = self._source.batches(
            order[np.concatenate(places)],
            batch_size=self._batch_size // devices.workers,
            epoch=self._epoch,
        )
        for rows, inputs in zip(places, batches, strict=True):
            wanted = self._targets[order[rows]]
            yield inputs, np.concatenate([rows[:, np.newaxis].astype(np.float32), wanted], axis=1)


def labels_of(records: Sequence[LesionRecord]) -> Floats:
    """1 for malignant, 0 for benign."""
    return np.array([record.is_malignant for record in records], dtype=np.float32)


def _parts_of(rows: Places, *, size: int) -> list[Places]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]
