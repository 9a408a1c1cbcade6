"""What a .tflite file says of itself: by a seal, and by files attached to it.

The seal is an entry of the file's metadata: 32 bytes, the sha256 of the flatbuffer with these bytes
at zero, and 8 bytes, the flatbuffer's length, little-endian. Damage shows without a manifest beside
the file; a person who changes it on purpose can seal it again. The files, `model_info.json` among
them, are appended behind the flatbuffer as an uncompressed ZIP, as the standard metadata of TFLite
has it, and are not under the seal: a file that is copied or renamed keeps its threshold.
Interpreters pass both over.
"""

import hashlib
import io
import struct
import zipfile
from enum import Enum, auto
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from edge_melanoma.data.crops import Crop
from edge_melanoma.data.images import ResizeId
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.schemas import (
    Count,
    Integer,
    Name,
    Number,
    Sha256,
    Share,
    Text,
    parse_json,
)
from edge_melanoma.tflite.counts import CountsBlock
from edge_melanoma.tflite.gate import GateBlock
from edge_melanoma.tflite.modes import Mode

METADATA_NAME = b"TFLITE_METADATA"
IDENTIFIER = b"M001"
MODEL_INFO = "model_info.json"
LARGEST_ATTACHED_BYTES = 1_000_000
MOST_ATTACHED = 20
END_OF_ZIP, LARGEST_LIST_OF_MEMBERS = b"PK\5\6", 2**16

SEAL_NAME = b"EDGE_MELANOMA_SHA256"
HASH_SIZE = 32
SEAL_SIZE = HASH_SIZE + 8
LARGEST_METADATA_COUNT = 100
UNSTAMPED = (SEAL_NAME * 2)[:SEAL_SIZE]
"""What an entry holds before it is stamped: no constant is equal, which would share its place."""


class Tensor(TypedDict):
    """An input or output as manifests have it; of a float tensor the scale is 0."""

    dtype: Literal["float32", "float16", "int8", "uint8", "int16", "int32"]
    scale: Annotated[float, Meta(ge=0, le=1e6)]
    zero_point: Integer
    name: NotRequired[Text]
    shape: NotRequired[list[Count]]


class UpperEnd(TypedDict):
    float: Share
    integer: Integer | None


class DecidesAt(UpperEnd):
    """Where the file gives three answers, `upper` is the second threshold."""

    upper: NotRequired[UpperEnd]


class End(TypedDict):
    threshold: Share
    integer: Integer | None


class PromisedShare(TypedDict):
    lesions: Count
    wrong: Count
    bound: Share
    promised: bool
    more_needed: Count


class PromisedClinic(TypedDict):
    melanomas: PromisedShare
    benign: PromisedShare


class PromiseBlock(TypedDict):
    """What two thresholds keep; see `evaluation.promises`."""

    max_miss: Share
    max_false_alarm: Share
    confidence: Share
    lower: End
    upper: End
    clinics: dict[str, PromisedClinic]


class CorrectionBlock(TypedDict):
    """How scores become probabilities in one clinic."""

    temperature: Annotated[float, Meta(gt=0, le=1e3)]
    offset: Number


class StatedPoint(TypedDict):
    promise: NotRequired[PromiseBlock]
    correction: NotRequired[CorrectionBlock]


class DescribedModel(TypedDict):
    file: Name
    sha256: NotRequired[Sha256]
    size_bytes: NotRequired[Count]
    mode: NotRequired[Mode]
    input: Tensor
    output: Tensor
    threshold: DecidesAt
    gate: NotRequired[GateBlock | None]


class Preprocessing(TypedDict):
    width: Annotated[int, Meta(ge=32, le=1024)]
    height: Annotated[int, Meta(ge=32, le=1024)]
    crop: Crop
    resize_id: ResizeId


class ModelInfo(TypedDict):
    """model_info.json, as it lies in a bundle and as it is inside of each file."""

    models: list[DescribedModel]
    preprocessing: Preprocessing
    operating_point: NotRequired[StatedPoint]
    views: NotRequired[Literal[1, 8]]
    counts: NotRequired[CountsBlock | None]


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


def stamp_seal(data: bytes) -> bytes:
    """A flatbuffer with the bytes of its seal filled in; without an entry for one, as it is."""
    place = _find_seal(data)
    if place is None:
        return data
    length = struct.pack("<Q", len(data))
    measured = data[: place + HASH_SIZE] + length + data[place + SEAL_SIZE :]
    return measured[:place] + _hash(measured, place) + measured[place + HASH_SIZE :]


def read_attached_files(data: bytes) -> dict[str, bytes]:
    """The files attached to a model with metadata, by name.

    Raises:
        EdgeMelanomaError: it has no metadata, or no files that can be read.
    """
    if entry_of(data, METADATA_NAME)[4:8].tobytes() != IDENTIFIER:
        raise EdgeMelanomaError(
            "The model has no metadata; expected the standard TFLite metadata that "
            "edge-melanoma writes."
        )
    _refuse_long_list(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            largest = max((member.file_size for member in members), default=0)
            if len(members) > MOST_ATTACHED or largest > LARGEST_ATTACHED_BYTES:
                raise EdgeMelanomaError(
                    f"The files attached to the model are too many or too large; expected at most "
                    f"{MOST_ATTACHED} of {LARGEST_ATTACHED_BYTES} bytes each."
                )
            return {member.filename: archive.read(member) for member in members}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        # RuntimeError: a member is encrypted.
        raise EdgeMelanomaError(
            f"The files attached to the model cannot be read: {error}."
        ) from error


def _refuse_long_list(data: bytes) -> None:
    """The list of members is held in memory before they can be counted, and says its own size."""
    end = data.rfind(END_OF_ZIP)
    size = struct.unpack_from("<I", data, end + 12)[0] if 0 <= end <= len(data) - 22 else 0
    if size > LARGEST_LIST_OF_MEMBERS:
        raise EdgeMelanomaError(
            f"The files attached to the model are too many; expected at most {MOST_ATTACHED}."
        )


def read_model_info(data: bytes, *, name: str) -> dict[str, Any] | None:
    """The model_info.json inside a sound .tflite file; none where nothing or no such is attached.

    Raises:
        EdgeMelanomaError: it is there, and is no JSON of an object; or it was there, and what was
            attached is cut off.
    """
    if not zipfile.is_zipfile(io.BytesIO(data)):
        if MODEL_INFO.encode() in entry_of(data, METADATA_NAME).tobytes():
            raise EdgeMelanomaError(
                f"{name} is cut off: the {MODEL_INFO} that was attached to it, with its threshold, "
                f"is not there; export it again, or fetch it again."
            )
        return None
    text = read_attached_files(data).get(MODEL_INFO)
    if text is None:
        return None
    return parse_json(text, ModelInfo, name=f"The {MODEL_INFO} inside {name}")


def _hash(data: bytes, place: int) -> bytes:
    return hashlib.sha256(data[:place] + bytes(HASH_SIZE) + data[place + HASH_SIZE :]).digest()


def _find_seal(data: bytes) -> int | None:
    """Where in the file its seal begins; nowhere in a file that cannot be read."""
    try:
        content = entry_of(data, SEAL_NAME)
    except Exception:
        # Generated readers raise struct.error, IndexError, TypeError and more on broken bytes.
        return None
    if len(content) != SEAL_SIZE:
        return None
    return int(content.ctypes.data - np.frombuffer(data, np.uint8).ctypes.data)


def entry_of(data: bytes, name: bytes) -> NDArray[np.uint8]:
    """The bytes of the file that are the first metadata of a name; empty where none is."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(data, 0)
    for number in range(min(model.MetadataLength(), LARGEST_METADATA_COUNT)):
        entry = model.Metadata(number)
        if entry.Name() == name and entry.Buffer() < model.BuffersLength():
            content = model.Buffers(entry.Buffer()).DataAsNumpy()
            if isinstance(content, np.ndarray):
                return content
    return np.empty(0, np.uint8)
