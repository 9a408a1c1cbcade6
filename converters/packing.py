"""Puts the objects of a .tflite file's schema into bytes, each distinct array and string once.

A model that has an entry for a seal is sealed: whoever changes a model packs it here again.
"""

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edge_melanoma.tflite.flatbuffer_reading import FILE_IDENTIFIER
from edge_melanoma.tflite.model_seal import SEAL_NAME, UNSTAMPED, stamp_seal
from edge_melanoma.tflite.quantization import MAP_NAME

BUFFER_ALIGNMENT = 16
"""What the schema demands of a buffer's bytes; flatbuffers for Python forgets it for arrays."""


def pack_model(model: Any, *, size: int) -> bytes:
    """The bytes of a `ModelT`; the same objects give the same bytes. `size` is about theirs."""
    builder = _SharingBuilder(size)
    builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
    return stamp_seal(bytes(builder.Output()))


def seal_model(data: bytes) -> bytes:
    """The same model with a hash of itself inside, see `model_seal`; outputs stay as they are."""
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    if all(entry.name != SEAL_NAME for entry in model.metadata or ()):
        buffer, entry = schema.BufferT(), schema.MetadataT()
        buffer.data = np.frombuffer(UNSTAMPED, np.uint8)
        entry.name, entry.buffer = SEAL_NAME, len(model.buffers)
        model.buffers.append(buffer)
        model.metadata = [*(model.metadata or ()), entry]
    return pack_model(model, size=len(data))


def put_score_first(data: bytes) -> bytes:
    """The same .tflite file with the score as its first output; a converter sorts them by name."""
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    names = {end.tensorIndex: end.name for end in model.signatureDefs[0].outputs}
    graph = model.subgraphs[0]
    graph.outputs = sorted(graph.outputs, key=lambda index: names[index] == MAP_NAME.encode())
    return pack_model(model, size=len(data))


class _SharingBuilder(flatbuffers.Builder):  # type: ignore[misc] # it has no types
    """A builder that gives equal arrays and strings the same place."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._places: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: NDArray[Any]) -> int:  # noqa: N802 - a name of flatbuffers
        key = (x.dtype.str, x.tobytes())
        if key not in self._places:
            if x.dtype == np.uint8:
                self.Prep(BUFFER_ALIGNMENT, x.nbytes)
            self._places[key] = super().CreateNumpyVector(x)
        return self._places[key]

    def CreateString(self, s: str | bytes, *rest: str) -> int:  # noqa: N802 - as above
        key = ("string", s if isinstance(s, bytes) else s.encode())
        if key not in self._places:
            self._places[key] = super().CreateString(s, *rest)
        return self._places[key]
