"""Metadata inside a model, read back here by a reader of its own from the published schema."""

import struct
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from tflite_files import mean_model

from edge_melanoma.converters.metadata import AUTHOR, LICENCE, attach_metadata
from edge_melanoma.converters.phone.golden_vectors import run_model
from edge_melanoma.data.phantoms import draw_phantom
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.runs.bundled import bundled_model
from edge_melanoma.tflite.metadata import read_attached_files

TEXT = {"description": "what", "version": "3"}
FILES = {"labels.txt": b"malignant\n", "labels_en.txt": b"Malignant\n", "model_info.json": b"{}\n"}


class Table:
    """A table of a flatbuffer, its fields by number, read by hand."""

    def __init__(self, data: bytes, place: int) -> None:
        self.data, self.place = data, place
        self.entries = place - struct.unpack_from("<i", data, place)[0]

    def field(self, number: int) -> int | None:
        """Where a field lies, or none."""
        (size,) = struct.unpack_from("<H", self.data, self.entries)
        if 4 + 2 * number >= size:
            return None
        (offset,) = struct.unpack_from("<H", self.data, self.entries + 4 + 2 * number)
        return self.place + offset if offset else None

    def follow(self, number: int) -> int:
        place = self.field(number)
        assert place is not None
        return int(place + struct.unpack_from("<I", self.data, place)[0])

    def table(self, number: int) -> "Table":
        return Table(self.data, self.follow(number))

    def tables(self, number: int) -> list["Table"]:
        start = self.follow(number)
        (count,) = struct.unpack_from("<I", self.data, start)
        places = [start + 4 + 4 * index for index in range(count)]
        return [
            Table(self.data, place + struct.unpack_from("<I", self.data, place)[0])
            for place in places
        ]

    def text(self, number: int) -> str:
        start = self.follow(number)
        (count,) = struct.unpack_from("<I", self.data, start)
        return self.data[start + 4 : start + 4 + count].decode()

    def floats(self, number: int) -> list[float]:
        start = self.follow(number)
        (count,) = struct.unpack_from("<I", self.data, start)
        return list(struct.unpack_from(f"<{count}f", self.data, start + 4))

    def number(self, number: int, form: str) -> Any:
        place = self.field(number)
        return 0 if place is None else struct.unpack_from(form, self.data, place)[0]


@pytest.fixture(scope="module")
def plain() -> bytes:
    return bundled_model().read_bytes()


@pytest.fixture(scope="module")
def described(plain: bytes) -> bytes:
    return attach_metadata(plain, **TEXT, files=FILES)


@pytest.fixture(scope="module")
def root(described: bytes) -> Table:
    model = schema.ModelT.InitFromPackedBuf(described, 0)
    (entry,) = [entry for entry in model.metadata if entry.name == b"TFLITE_METADATA"]
    data = bytes(model.buffers[entry.buffer].data)
    assert data[4:8] == b"M001"
    return Table(data, struct.unpack_from("<I", data, 0)[0])


def test_a_reader_finds_what_the_model_is(root: Table) -> None:
    told = [root.text(number) for number in (0, 1, 2, 4, 5)]
    assert told == ["edge-melanoma", "what", "3", AUTHOR, LICENCE]
    assert [file.text(0) for file in root.tables(6)] == ["model_info.json"]


def test_a_reader_finds_an_rgb_input_of_224_scaled_to_0_to_1(root: Table) -> None:
    (image,) = root.tables(3)[0].tables(2)
    content = image.table(3)
    properties = content.table(1)
    size = properties.table(1)
    assert image.text(0) == "image"
    assert (content.number(0, "b"), properties.number(0, "b")) == (2, 1)
    assert (size.number(0, "<I"), size.number(1, "<I")) == (224, 224)
    (unit,) = image.tables(4)
    assert unit.number(0, "b") == 1
    assert (unit.table(1).floats(0), unit.table(1).floats(1)) == ([0.0], [255.0])
    assert (image.table(5).floats(0), image.table(5).floats(1)) == ([1.0], [0.0])


def test_a_reader_finds_one_score_with_two_label_files_and_no_threshold(root: Table) -> None:
    score, gate = root.tables(3)[0].tables(3)
    assert (score.text(0), gate.text(0)) == ("p_malignant", "gate")
    assert score.field(4) is None
    labels, display = score.tables(6)
    assert (labels.text(0), labels.number(2, "b"), labels.field(3)) == ("labels.txt", 2, None)
    assert (display.text(0), display.text(3)) == ("labels_en.txt", "en")


def test_the_outputs_are_the_same_to_the_last_bit(plain: bytes, described: bytes) -> None:
    pictures = [draw_phantom(is_malignant=seed % 2 == 0, seed=seed) for seed in range(8)]
    assert run_model(described, pictures) == run_model(plain, pictures)


def test_the_same_bytes_come_each_time_and_hold_the_files(plain: bytes, described: bytes) -> None:
    again = attach_metadata(plain, **TEXT, files=dict(reversed(FILES.items())))
    assert again == described
    assert read_attached_files(described) == FILES


def test_buffers_stay_where_the_schema_wants_them(described: bytes) -> None:
    model = schema.Model.GetRootAsModel(described, 0)
    for index in range(model.BuffersLength()):
        buffer = model.Buffers(index)
        if buffer.DataLength():
            start = buffer.DataAsNumpy().__array_interface__["data"][0]
            base = np.frombuffer(described, np.uint8).__array_interface__["data"][0]
            assert (start - base) % 16 == 0


def test_metadata_takes_the_place_of_what_was_there(plain: bytes, described: bytes) -> None:
    other = attach_metadata(plain, **TEXT, files={"notes.txt": b"other"})
    assert attach_metadata(other, **TEXT, files=FILES) == described


def test_a_model_without_metadata_is_said_to_have_none() -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        read_attached_files(mean_model(tensor="mean", signature=None))
    assert str(caught.value) == (
        "The model has no metadata; expected the standard TFLite metadata that edge-melanoma "
        "writes."
    )
