"""The frozen part of a network, run once: its activations kept on disk and read by memory map.

A row is keyed by the sha256 of the image file; a store is keyed by the weights of the frozen part,
the layer it ends with and the resize. So a store is shared by all runs that begin alike, and
grows by the images that it has not seen.

The frozen part is run by LiteRT instead of TensorFlow: the same float32 weights on XNNPACK take
8 CPU ms an image where TensorFlow takes 15; activations agree to the last digits of float32.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.images import IMAGE_SIZE, RESIZE_ID, scale_pixels, stream_images
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.screening import default_fingerprint_folder
from edge_melanoma.machine.processes import stderr_discarded
from edge_melanoma.machine.rows import RowsOnDisk, RowStore
from edge_melanoma.machine.tensorflow import tf
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.network.network import prefix_of

BATCH_SIZE = 32


class Prefix(Protocol):
    """The part of a network whose outputs are kept, as rows of `dtype` and of `shape` each.

    `key` changes with everything that its outputs depend on but the picture.
    """

    cut: str
    shape: tuple[int, ...]
    key: str
    dtype: np.dtype[Any]

    def __call__(self, images: NDArray[np.float32]) -> NDArray[Any]:
        """Rows of pictures in 0..1 (n, 224, 224, 3)."""

    def restore(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Activations from rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedActivations:
    """Activations of some images: `places[i]` is that of image i in the store."""

    prefix: Prefix
    store: RowsOnDisk
    places: NDArray[np.int64]

    def gather(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Activations (n, ...) of the images at `positions`."""
        return self.prefix.restore(self.store[self.places[positions]])


def default_cache_folder() -> Path:
    """In the user's cache folder of this tool."""
    return default_fingerprint_folder() / "activations"


def cache_activations(
    prefix: Prefix, records: Sequence[LesionRecord], *, cache_folder: Path, reporter: Reporter
) -> CachedActivations:
    """Activations of `records` at the end of `prefix`, computed where they are not known yet.

    Memory does not grow with the number of images but for the index, about 150 bytes an image.
    """
    number = f"{prefix.dtype.kind}{8 * prefix.dtype.itemsize}"
    store = RowStore(
        (prefix.dtype, prefix.shape), cache_folder / prefix.key / f"activations.{number}"
    )
    with store.held():
        missing = {record.sha256: record for record in records if record.sha256 not in store}
        if missing:
            _append_rows(store, prefix, list(missing.values()), reporter)
    places = store.places([record.sha256 for record in records])
    return CachedActivations(prefix=prefix, store=store.rows, places=places)


def _append_rows(
    store: RowStore, prefix: Prefix, records: Sequence[LesionRecord], reporter: Reporter
) -> None:
    label = f"Activations up to {prefix.cut}"
    queue = reporter.track(iter(records), label=label, total=len(records))
    for pixels in stream_images([record.path for record in records], batch_size=BATCH_SIZE):
        activations = prefix(scale_pixels(pixels))
        store.append([str(next(queue).sha256) for _ in activations], activations)
    next(queue, None)


class FrozenPrefix:
    """From pictures in 0..1 (n, 224, 224, 3) to activations (n, *shape) at the layer `cut`.

    They are kept as float16: half the disk, and scores move by less than 0.002. The network is
    converted, which takes seconds, for the first pictures: where a cache has all, never.
    """

    dtype = np.dtype(np.float16)

    def __init__(self, network: Any, *, cut: str) -> None:
        self._model = prefix_of(network, cut=cut)
        self.cut = cut
        self.shape = tuple(int(side) for side in self._model.output_shape[1:])
        digest = hashlib.sha256(f"{cut} {RESIZE_ID} {IMAGE_SIZE} float16 litert".encode())
        for weight in self._model.weights:
            digest.update(weight.numpy().tobytes())
        self.key = f"{cut}-{digest.hexdigest()[:16]}"

    @cached_property
    def _interpreter(self) -> Any:
        from ai_edge_litert.interpreter import Interpreter

        signature = [tf.TensorSpec((1, IMAGE_SIZE, IMAGE_SIZE, 3), tf.float32)]
        graph = tf.function(lambda images: self._model(images, training=False), signature)
        concrete = [graph.get_concrete_function()]
        with stderr_discarded():
            data = tf.lite.TFLiteConverter.from_concrete_functions(concrete).convert()
            interpreter = Interpreter(model_content=data, num_threads=os.cpu_count())
            interpreter.allocate_tensors()
        return interpreter

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Activations of some pictures; one by one, which is no slower here than in batches."""
        interpreter, activations = self._interpreter, []
        (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
        for image in images:
            interpreter.set_tensor(source["index"], image[np.newaxis])
            interpreter.invoke()
            activations.append(interpreter.get_tensor(target["index"]))
        return np.concatenate(activations)

    def restore(self, rows: NDArray[np.float16]) -> NDArray[np.float32]:
        """Activations from the rows of a cache."""
        return rows.astype(np.float32)


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
