"""The first part of an int8 network, run as its file runs it."""

import hashlib
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.converters.tflite_export import convert_fake_quantised
from edge_melanoma.data.images import IMAGE_SIZE, RESIZE_ID
from edge_melanoma.machine.quiet import stderr_discarded
from edge_melanoma.network.network import prefix_of
from edge_melanoma.runtime.interpreters import quantization_of
from edge_melanoma.tflite.modes import InputOutput


class Int8Prefix:
    """From pictures in 0..1 to the integers that the int8 file has at the layer `cut`."""

    dtype = np.dtype(np.int8)

    def __init__(self, quantised: Any, *, cut: str) -> None:
        from ai_edge_litert.interpreter import Interpreter

        model = prefix_of(quantised, cut=cut)
        data = convert_fake_quantised(model, ends=(InputOutput.INT8, InputOutput.INT8))
        self.cut = cut
        self.shape = tuple(int(side) for side in model.output_shape[1:])
        digest = hashlib.sha256(f"{RESIZE_ID} {IMAGE_SIZE}".encode() + data).hexdigest()
        self.key = f"int8-{cut}-{digest[:16]}"
        with stderr_discarded():
            self._interpreter = Interpreter(model_content=data, num_threads=os.cpu_count())
            self._interpreter.allocate_tensors()
        (self._input,) = self._interpreter.get_input_details()
        (self._output,) = self._interpreter.get_output_details()
        self._pixels, self._activations = map(quantization_of, (self._input, self._output))

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.int8]:
        """Integers (n, *shape) of pictures (n, 224, 224, 3)."""
        return np.concatenate([self._run_one(image[np.newaxis]) for image in images])

    def restore(self, rows: NDArray[np.int8]) -> NDArray[np.float32]:
        """The real numbers that the integers stand for."""
        return self._activations.dequantize(rows).astype(np.float32)

    def _run_one(self, image: NDArray[np.float32]) -> NDArray[np.int8]:
        pixels = self._pixels.quantize(image.astype(np.float64))
        self._interpreter.set_tensor(self._input["index"], pixels)
        self._interpreter.invoke()
        integers: NDArray[np.int8] = self._interpreter.get_tensor(self._output["index"])
        return integers
