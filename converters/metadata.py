"""Standard TFLite metadata inside a model file: what it is, its tensors, and files attached to it.

Written with flatbuffers alone, by metadata_schema.fbs of TFLite: the numbers below are the places
of the fields in its tables. The same arguments give the same bytes. There is no score threshold in
it on purpose: below one, clients return nothing, which a person would read as benign.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
from flatbuffers.number_types import Int8Flags, Uint32Flags

from edge_melanoma.converters.packing import add_metadata, pack_model, signature_names
from edge_melanoma.tflite.inspection import read_tables
from edge_melanoma.tflite.metadata import IDENTIFIER, METADATA_NAME
from edge_melanoma.tflite.quantization import SCORE_NAME

PARSER_VERSION = "1.0.0"
NAME, AUTHOR = "edge-melanoma", "the authors of edge-melanoma"
LICENCE = "Code: Apache-2.0. Weights: as the pictures they learned from; for research only."
IMAGE_TEXT = (
    "An upright RGB photograph of a skin lesion, its whole frame or centre square resized as "
    "model_info.json says."
)
SCORE_TEXT = "The probability that the lesion is malignant; model_info.json has the threshold."

LABELS, DISPLAY_LABELS = "labels.txt", "labels_en.txt"
RGB, FEATURE_PROPERTIES, IMAGE_PROPERTIES, NORMALIZATION = 1, 1, 2, 1
DESCRIPTIONS, AXIS_LABELS = 1, 2
FIRST_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def attach_metadata(
    data: bytes, *, description: str, version: str, files: Mapping[str, bytes]
) -> bytes:
    """The model with metadata and with `files` behind it as an uncompressed ZIP.

    The input is described as an RGB picture scaled to 0..1, the output P(malignant) as one score
    with `labels.txt` and `labels_en.txt` of the files. They take the place of what was attached
    before. What the network computes is not touched.
    """
    model = read_tables(data)
    _remove_metadata(model)
    graph, names = model.subgraphs[0], signature_names(model, 0)
    outputs = [names.get(i, graph.tensors[i].name.decode()) for i in graph.outputs]
    size = int(graph.tensors[graph.inputs[0]].shape[1])
    content = _MetadataWriter().write(description, version, size, outputs=outputs, files=files)
    add_metadata(model, METADATA_NAME, content)
    return _with_zip(pack_model(model, size=len(data)), files)


class _MetadataWriter(flatbuffers.Builder):  # type: ignore[misc] # it has no types
    """Builds the tables of the metadata, the inner ones first, as flatbuffers demands."""

    def write(
        self,
        description: str,
        version: str,
        size: int,
        *,
        outputs: Sequence[str],
        files: Mapping[str, bytes],
    ) -> bytes:
        """The bytes of a ModelMetadata table."""
        labels = [name for name in (LABELS, DISPLAY_LABELS) if name in files]
        image = self._image(size)
        scores = [self._output(name, labels) for name in outputs]
        graph = self._table({2: self._tables([image]), 3: self._tables(scores)})
        others = [self._file(name, DESCRIPTIONS) for name in sorted({*files} - {*labels})]
        root = self._table(
            {
                0: self._text(NAME),
                1: self._text(description),
                2: self._text(version),
                3: self._tables([graph]),
                4: self._text(AUTHOR),
                5: self._text(LICENCE),
                6: self._tables(others),
                7: self._text(PARSER_VERSION),
            }
        )
        self.Finish(root, IDENTIFIER)
        return bytes(self.Output())

    def _image(self, size: int) -> int:
        sides = self._table({}, {0: (Uint32Flags, size), 1: (Uint32Flags, size)})
        properties = self._table({1: sides}, {0: (Int8Flags, RGB)})
        content = self._table({1: properties}, {0: (Int8Flags, IMAGE_PROPERTIES)})
        scaling = self._table({0: self._floats(0.0), 1: self._floats(255.0)})
        unit = self._table({1: scaling}, {0: (Int8Flags, NORMALIZATION)})
        fields = {0: self._text("image"), 1: self._text(IMAGE_TEXT), 3: content}
        return self._table(fields | {4: self._tables([unit]), 5: self._unit_range()})

    def _output(self, name: str, labels: Sequence[str]) -> int:
        content = self._table({1: self._table({})}, {0: (Int8Flags, FEATURE_PROPERTIES)})
        if name != SCORE_NAME:
            return self._table({0: self._text(name), 3: content})
        files = [
            self._file(label, AXIS_LABELS, locale="en" if label == DISPLAY_LABELS else None)
            for label in labels
        ]
        fields = {0: self._text(name), 1: self._text(SCORE_TEXT), 3: content}
        return self._table(fields | {5: self._unit_range(), 6: self._tables(files)})

    def _file(self, name: str, kind: int, *, locale: str | None = None) -> int:
        places = {0: self._text(name)} | ({} if locale is None else {3: self._text(locale)})
        return self._table(places, {2: (Int8Flags, kind)})

    def _unit_range(self) -> int:
        return self._table({0: self._floats(1.0), 1: self._floats(0.0)})

    def _text(self, text: str) -> int:
        return int(self.CreateString(text))

    def _floats(self, *values: float) -> int:
        return int(self.CreateNumpyVector(np.array(values, np.float32)))

    def _tables(self, places: Sequence[int]) -> int:
        self.StartVector(4, len(places), 4)
        for place in reversed(places):
            self.PrependUOffsetTRelative(place)
        return int(self.EndVector())

    def _table(
        self, places: Mapping[int, int], numbers: Mapping[int, tuple[Any, int]] | None = None
    ) -> int:
        """A table of the fields that lie elsewhere and of those that are numbers."""
        numbers = numbers or {}
        self.StartObject(max([*places, *numbers], default=-1) + 1)
        for field, place in places.items():
            self.PrependUOffsetTRelativeSlot(field, place, 0)
        for field, (flags, number) in numbers.items():
            self.PrependSlot(flags, field, number, 0)
        return int(self.EndObject())


def _remove_metadata(model: Any) -> None:
    """With its buffer, which is the last one of a file that was written here."""
    for entry in [entry for entry in model.metadata or () if entry.name == METADATA_NAME]:
        model.metadata.remove(entry)
        if entry.buffer == len(model.buffers) - 1:
            model.buffers.pop()
        else:
            model.buffers[entry.buffer].data = None


def _with_zip(data: bytes, files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO(data)
    stream.seek(0, io.SEEK_END)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, FIRST_ZIP_TIME)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, files[name])
    return stream.getvalue()
