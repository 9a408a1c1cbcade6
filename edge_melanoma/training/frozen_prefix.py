"""The part of a network that no training step changes, run by LiteRT instead of TensorFlow.

The same float32 weights on XNNPACK take 8 CPU ms an image where TensorFlow takes 15; activations
agree to the last digits of float32.
"""

import hashlib
import os
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.images import IMAGE_SIZE, RESIZE_ID
from edge_melanoma.machine.quiet import stderr_discarded
from edge_melanoma.machine.tensorflow_runtime import tf
from edge_melanoma.network.network import prefix_of


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
        self.key = _key_of(self._model, cut)

    @cached_property
    def _interpreter(self) -> Any:
        from ai_edge_litert.interpreter import Interpreter

        with stderr_discarded():
            interpreter = Interpreter(
                model_content=_convert(self._model), num_threads=os.cpu_count()
            )
            interpreter.allocate_tensors()
        return interpreter

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Activations of some pictures; one by one, which is no slower here than in batches."""
        return np.concatenate([self._run_one(image[np.newaxis]) for image in images])

    def restore(self, rows: NDArray[np.float16]) -> NDArray[np.float32]:
        """Activations from the rows of a cache."""
        return rows.astype(np.float32)

    def _run_one(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        interpreter = self._interpreter
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
        interpreter.invoke()
        output = interpreter.get_output_details()[0]["index"]
        activations: NDArray[np.float32] = interpreter.get_tensor(output)
        return activations


def _convert(model: Any) -> bytes:
    signature = tf.TensorSpec((1, IMAGE_SIZE, IMAGE_SIZE, 3), tf.float32)
    graph = tf.function(lambda images: model(images, training=False), input_signature=[signature])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph.get_concrete_function()])
    data: bytes = converter.convert()
    return data


def _key_of(model: Any, cut: str) -> str:
    """Changes with the weights, the layer, the resize and the number type that is kept."""
    digest = hashlib.sha256(f"{cut} {RESIZE_ID} {IMAGE_SIZE} float16 litert".encode())
    for weight in model.weights:
        digest.update(weight.numpy().tobytes())
    return f"{cut}-{digest.hexdigest()[:16]}"
