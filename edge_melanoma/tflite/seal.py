"""A hash of a .tflite file inside the file itself: damage shows without a manifest beside it.

The seal is an entry of the file's metadata: 32 bytes, the sha256 of the flatbuffer with these bytes
at zero, and 8 bytes, the flatbuffer's length, little-endian. What is appended behind, as a ZIP of
labels, is not under it. Interpreters pass it over: outputs stay as they are. It tells of damage; a
person who changes the file on purpose can seal it again.
"""

import hashlib
import struct
from enum import Enum, auto

import numpy as np

from edge_melanoma.errors import EdgeMelanomaError

SEAL_NAME = b"EDGE_MELANOMA_SHA256"
HASH_SIZE = 32
SEAL_SIZE = HASH_SIZE + 8
LARGEST_METADATA_COUNT = 100
UNSTAMPED = (SEAL_NAME * 2)[:SEAL_SIZE]
"""What an entry holds before it is stamped: no constant is equal, which would share its place."""


class Seal(Enum):
    """What a file's seal says."""

    NONE = auto()
    INTACT = auto()
    BROKEN = auto()


def read_seal(data: bytes) -> Seal:
    """Whether the file is as it was sealed; of a file that cannot be read, that it has no seal."""
    place = _find_seal(data)
    if place is None:
        return Seal.NONE
    length = struct.unpack_from("<Q", data, place + HASH_SIZE)[0]
    if not place + SEAL_SIZE <= length <= len(data):
        return Seal.BROKEN
    stated = data[place : place + HASH_SIZE]
    return Seal.INTACT if _hash(data[:length], place) == stated else Seal.BROKEN


def refuse_broken_seal(data: bytes, *, name: str) -> None:
    """Raise for a file whose content is not what it was when it was written.

    Raises:
        EdgeMelanomaError: it was damaged or changed.
    """
    if read_seal(data) is Seal.BROKEN:
        raise EdgeMelanomaError(
            f"{name} was damaged or changed after it was written (the sha256 inside of it "
            f"differs); export it again, or fetch it again."
        )


def stamp_seal(data: bytes) -> bytes:
    """A flatbuffer with the bytes of its seal filled in; without an entry for one, as it is."""
    place = _find_seal(data)
    if place is None:
        return data
    length = struct.pack("<Q", len(data))
    measured = data[: place + HASH_SIZE] + length + data[place + SEAL_SIZE :]
    return measured[:place] + _hash(measured, place) + measured[place + HASH_SIZE :]


def _hash(data: bytes, place: int) -> bytes:
    return hashlib.sha256(data[:place] + bytes(HASH_SIZE) + data[place + HASH_SIZE :]).digest()


def _find_seal(data: bytes) -> int | None:
    """Where in the file its seal begins; nowhere in a file that cannot be read."""
    from ai_edge_litert import schema_py_generated as schema

    try:
        model = schema.Model.GetRootAs(data, 0)
        for number in range(min(model.MetadataLength(), LARGEST_METADATA_COUNT)):
            entry = model.Metadata(number)
            if entry.Name() == SEAL_NAME and entry.Buffer() < model.BuffersLength():
                content = model.Buffers(entry.Buffer()).DataAsNumpy()
                if isinstance(content, np.ndarray) and len(content) == SEAL_SIZE:
                    return int(content.ctypes.data - np.frombuffer(data, np.uint8).ctypes.data)
    except Exception:
        # Generated readers raise struct.error, IndexError, TypeError and more on broken bytes.
        return None
    return None
