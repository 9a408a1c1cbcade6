"""Batches of pictures that are varied anew each epoch, at any side length."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.images import (
    IMAGE_SIZE,
    RESIZE_ID,
    resize_image,
    scale_pixels,
    stream_images,
)
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.network.recipes import Stage
from edge_melanoma.training.activations import CachedActivations, cache_activations
from edge_melanoma.training.appearance import vary_appearance
from edge_melanoma.training.augmentation import augment_images
from edge_melanoma.training.batches import Batch, labels_of


class DecodedPictures:
    """The empty prefix: what is kept of a picture is its pixels, (224, 224, 3) of uint8.

    Reading them back takes a hundredth of the time that decoding the file takes.
    """

    cut = "pixels"
    shape: tuple[int, ...] = (IMAGE_SIZE, IMAGE_SIZE, 3)
    key = f"pixels-{RESIZE_ID}-{IMAGE_SIZE}"
    dtype: np.dtype[Any] = np.dtype(np.uint8)

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Whole numbers again from pictures in 0..1."""
        return np.rint(images * 255).astype(np.uint8)

    def restore(self, rows: NDArray[np.uint8]) -> NDArray[Any]:
        """The rows themselves."""
        return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class VariedBatches:
    """Pictures of a stage's size, varied as the stage asks; `store` holds them where it is given.

    The variations depend on `seed`, the number of the stage, the epoch and the image alone.
    """

    files: Sequence[Path]
    labels: NDArray[np.float32]
    stage: Stage
    stage_number: int
    seed: int
    store: CachedActivations | None = None

    def batches(self, order: NDArray[np.int64], *, batch_size: int, epoch: int) -> Iterator[Batch]:
        """Batches made by a thread while the network works on the one before."""
        made = self._make(order, batch_size=batch_size, epoch=epoch)
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(next, made, None)
            while (batch := ahead.result()) is not None:
                ahead = pool.submit(next, made, None)
                yield batch

    def _make(self, order: NDArray[np.int64], *, batch_size: int, epoch: int) -> Iterator[Batch]:
        start = 0
        for pixels in self._pixels(order, batch_size=batch_size):
            positions = order[start : start + len(pixels)]
            start += len(pixels)
            seeds = np.stack(
                [[self.seed, self.stage_number, epoch, position] for position in positions]
            )
            yield self._vary(pixels, seeds), self.labels[positions]

    def _pixels(self, order: NDArray[np.int64], *, batch_size: int) -> Iterator[NDArray[np.uint8]]:
        if self.store is None:
            yield from stream_images([self.files[i] for i in order], batch_size=batch_size)
            return
        for start in range(0, len(order), batch_size):
            yield np.asarray(self.store.gather(order[start : start + batch_size]), dtype=np.uint8)

    def _vary(self, pixels: NDArray[np.uint8], seeds: NDArray[np.int64]) -> NDArray[np.float32]:
        size, augmentation = self.stage.image_size, self.stage.augmentation
        if augmentation is None:
            return _shrink(pixels, size)
        images = scale_pixels(augment_images(pixels, augmentation, seeds=seeds, size=size))
        if augmentation.appearance is None:
            return images
        return vary_appearance(images, augmentation.appearance, seeds=seeds)


def varied_batches(
    records: Sequence[LesionRecord],
    stage: Stage,
    *,
    stage_number: int,
    seed: int,
    cache_folder: Path | None,
    reporter: Reporter,
) -> VariedBatches:
    """The pictures of `records` for a stage, decoded once where there is a cache folder."""
    store = None
    if cache_folder is not None:
        store = cache_activations(
            DecodedPictures(), records, cache_folder=cache_folder, reporter=reporter
        )
    return VariedBatches(
        files=[record.path for record in records],
        labels=labels_of(records),
        stage=stage,
        stage_number=stage_number,
        seed=seed,
        store=store,
    )


def _shrink(pixels: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    if size != pixels.shape[1]:
        pixels = np.stack([resize_image(picture, size=size) for picture in pixels])
    return scale_pixels(pixels)
