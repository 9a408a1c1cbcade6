"""What a .tflite file says of itself: the files attached to it, model_info.json among them.

They are appended behind the flatbuffer as an uncompressed ZIP, as the standard metadata of TFLite
has it, so that a file that is copied or renamed keeps its threshold.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

from edge_melanoma.errors import EdgeMelanomaError

METADATA_NAME = b"TFLITE_METADATA"
IDENTIFIER = b"M001"
MODEL_INFO = "model_info.json"
LARGEST_ATTACHED_BYTES = 1_000_000
MOST_ATTACHED = 20


def read_attached_files(data: bytes) -> dict[str, bytes]:
    """The files attached to a model with metadata, by name.

    Raises:
        EdgeMelanomaError: it has no metadata, or no files that can be read.
    """
    if _metadata_of(data)[4:8] != IDENTIFIER:
        raise EdgeMelanomaError(
            "The model has no metadata; expected the standard TFLite metadata that "
            "edge-melanoma writes."
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > MOST_ATTACHED or any(
                member.file_size > LARGEST_ATTACHED_BYTES for member in members
            ):
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


def read_model_info(data: bytes, *, name: str) -> dict[str, Any] | None:
    """The model_info.json inside a sound .tflite file; none where nothing or no such is attached.

    Raises:
        EdgeMelanomaError: it is there, and is no JSON of an object; or it was there, and what was
            attached is cut off.
    """
    if not zipfile.is_zipfile(io.BytesIO(data)):
        if MODEL_INFO.encode() in _metadata_of(data):
            raise EdgeMelanomaError(
                f"{name} is cut off: the {MODEL_INFO} that was attached to it, with its threshold, "
                f"is not there; export it again, or fetch it again."
            )
        return None
    text = read_attached_files(data).get(MODEL_INFO)
    if text is None:
        return None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EdgeMelanomaError(
            f"The {MODEL_INFO} inside {name} is no JSON; export the file again."
        ) from error
    if not isinstance(content, Mapping):
        raise EdgeMelanomaError(
            f"The {MODEL_INFO} inside {name} is no JSON object; export the file again."
        )
    return dict(content)


def _metadata_of(data: bytes) -> bytes:
    """The first metadata of a sound .tflite file, as a table of flatbuffers; empty without any."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(data, 0)
    for number in range(model.MetadataLength()):
        entry = model.Metadata(number)
        if entry.Name() == METADATA_NAME:
            buffer = model.Buffers(entry.Buffer())
            return bytes(buffer.DataAsNumpy()) if buffer.DataLength() else b""
    return b""
