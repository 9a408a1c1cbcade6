"""Puts the objects of a .tflite file's schema into bytes, each distinct array and string once."""

from typing import Any

import flatbuffers
import numpy as np
from numpy.typing import NDArray

FILE_IDENTIFIER = b"TFL3"
BUFFER_ALIGNMENT = 16
"""What the schema demands of a buffer's bytes; flatbuffers for Python forgets it for arrays."""


def pack_model(model: Any, *, size: int) -> bytes:
    """The bytes of a `ModelT`; the same objects give the same bytes. `size` is about theirs."""
    builder = _SharingBuilder(size)
    builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
    return bytes(builder.Output())


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
