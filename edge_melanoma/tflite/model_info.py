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


def metadata_buffers(model: Any) -> list[Any]:
    """The buffers of the schema's `ModelT` that hold metadata; one at most, in a sound file."""
    entries = [entry for entry in model.metadata or () if entry.name == METADATA_NAME]
    return [model.buffers[entry.buffer] for entry in entries]


def read_attached_files(data: bytes) -> dict[str, bytes]:
    """The files attached to a model with metadata, by name.

    Raises:
        EdgeMelanomaError: it has no metadata, or no files that can be read.
    """
    from ai_edge_litert import schema_py_generated as schema

    buffers = metadata_buffers(schema.ModelT.InitFromPackedBuf(data, 0))
    if not buffers or bytes(buffers[0].data[4:8]) != IDENTIFIER:
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
        if _names_model_info(data):
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


def _names_model_info(data: bytes) -> bool:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(data, 0)
    entries = [model.Metadata(number) for number in range(model.MetadataLength())]
    return any(
        MODEL_INFO.encode() in bytes(model.Buffers(entry.Buffer()).DataAsNumpy())
        for entry in entries
        if entry.Name() == METADATA_NAME
    )
