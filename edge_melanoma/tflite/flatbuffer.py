"""Reads the tables of a .tflite file without trusting one number in it.

Every offset, length and field is held against the file before it is followed, so that no bytes can
make a reader leave the file, loop or take much memory. Only plain Python and NumPy: the readers
that come with the schema, and the interpreters, follow what they find.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

FILE_IDENTIFIER: Final = b"TFL3"
LARGEST_TABLE_COUNT = 100_000
"""A file of ten bytes a table could name each of them a million times."""

FIRST_SLOT = 4
"""Bytes of a vtable before the place of the first field: its own size and that of the table."""


class BrokenFlatbufferError(Exception):
    """What is wrong, as the end of a sentence about the file."""


@dataclass(frozen=True, slots=True)
class Number:
    """A field that is a number; `code` is that of `struct`, little-endian."""

    code: str

    @property
    def size(self) -> int:
        """Bytes of the number."""
        return struct.calcsize(f"<{self.code}")


@dataclass(frozen=True, slots=True)
class Numbers:
    """A field that is a vector of numbers of a NumPy type."""

    dtype: str


@dataclass(frozen=True, slots=True)
class Text:
    """A field that is a string."""


@dataclass(frozen=True, slots=True)
class Table:
    """A field that is a table of the named layout."""

    layout: str


@dataclass(frozen=True, slots=True)
class Tables:
    """A field that is a vector of tables of the named layout."""

    layout: str


@dataclass(frozen=True, slots=True)
class Unused:
    """A field that must not be there: it leads out of the file, or to what is not supported."""


@dataclass(frozen=True, slots=True)
class Later:
    """A table whose layout another field tells: its place, for `read_table`."""


Field = Number | Numbers | Text | Table | Tables | Unused | Later
Layout = Mapping[str, Field]
Content = dict[str, Any]


def read_flatbuffer(data: bytes, layouts: Mapping[str, Layout], *, root: str) -> Content:
    """The content of the file's root table: fields by name, absent ones left out.

    Numbers become Python numbers, vectors of numbers NumPy arrays without a copy.

    Raises:
        BrokenFlatbufferError: the first thing that is wrong.
    """
    if data[4:8] != FILE_IDENTIFIER:
        raise BrokenFlatbufferError(f"does not bear the identifier {FILE_IDENTIFIER.decode()}")
    reader = _Reader(data, layouts)
    return reader.table(reader.follow(0), root)


def read_table(data: bytes, layout: Layout, *, place: int, name: str) -> Content:
    """The content of one table that was left for later.

    Raises:
        BrokenFlatbufferError: the first thing that is wrong.
    """
    return _Reader(data, {name: layout}).table(place, name)


class _Reader:
    def __init__(self, data: bytes, layouts: Mapping[str, Layout]) -> None:
        self._data, self._layouts = data, layouts
        self._tables = 0

    def follow(self, place: int) -> int:
        """Where the offset at `place` leads to, always forward."""
        offset = self._number("I", place)
        return self._inside(place + offset, 4)

    def table(self, place: int, name: str) -> Content:
        """The fields that are there."""
        self._tables += 1
        if self._tables > LARGEST_TABLE_COUNT:
            raise BrokenFlatbufferError(f"has more than {LARGEST_TABLE_COUNT} tables")
        vtable = self._inside(place - self._number("i", place), 4)
        vtable_size, size = self._number("H", vtable), self._number("H", vtable + 2)
        self._inside(vtable, vtable_size)
        self._inside(place, size)
        if vtable_size < FIRST_SLOT or vtable_size % 2 or size < 4:
            raise BrokenFlatbufferError(f"has a {name} whose fields are not laid out as a table")
        found: Content = {}
        slots = range(FIRST_SLOT, vtable_size, 2)
        for slot, (field_name, field) in zip(slots, self._layouts[name].items(), strict=False):
            offset = self._number("H", vtable + slot)
            if offset:
                width = field.size if isinstance(field, Number) else 4
                if offset < 4 or offset + width > size:
                    raise BrokenFlatbufferError(f"has a {name} whose {field_name} is outside of it")
                found[field_name] = self._field(field, place + offset, f"{name}.{field_name}")
        return found

    def _field(self, field: Field, place: int, name: str) -> Any:
        if isinstance(field, Number):
            return self._number(field.code, place)
        if isinstance(field, Table):
            return self.table(self.follow(place), field.layout)
        if isinstance(field, Later):
            return self.follow(place)
        if isinstance(field, Unused):
            raise BrokenFlatbufferError(f"uses {name}, which is not supported")
        start = self.follow(place)
        length = self._number("I", start)
        if isinstance(field, Text):
            self._inside(start + 4, length + 1)
            return self._data[start + 4 : start + 4 + length]
        if isinstance(field, Numbers):
            dtype = np.dtype(field.dtype)
            self._inside(start + 4, length * dtype.itemsize)
            return np.frombuffer(self._data, dtype, count=length, offset=start + 4)
        self._inside(start + 4, 4 * length)
        places = range(start + 4, start + 4 + 4 * length, 4)
        return [self.table(self.follow(entry), field.layout) for entry in places]

    def _number(self, code: str, place: int) -> Any:
        self._inside(place, struct.calcsize(f"<{code}"))
        return struct.unpack_from(f"<{code}", self._data, place)[0]

    def _inside(self, place: int, size: int) -> int:
        if place < 0 or place + size > len(self._data):
            raise BrokenFlatbufferError("points to bytes that it does not have")
        return place
