"""Reads what a compiled class declares: names and descriptors, by the JVM's class file format."""

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

PUBLIC = 0x0001
UTF8, LONG, DOUBLE, CLASS = 1, 5, 6, 7
CONSTANT_BYTES = {3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4, 15: 3, 16: 2}
CONSTANT_BYTES |= {17: 4, 18: 4, 19: 2, 20: 2}
"""Length of each kind of constant behind its tag (The Java Virtual Machine Specification, 4.4)."""

PARAMETER = re.compile(r"\[*(?:[BCDFIJSZ]|L[^;]+;)")


class Method(NamedTuple):
    """A public method: `parameters` are descriptors such as I, [I and Ljava/lang/String;."""

    name: str
    parameters: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFile:
    """A class's name with dots throughout, and what is public in it."""

    name: str
    fields: tuple[str, ...]
    methods: tuple[Method, ...]


def read_class_file(path: Path) -> ClassFile:
    """The declarations in a .class file."""
    reader = _Reader(path.read_bytes())
    reader.skip(8)
    strings, classes = _read_constants(reader)
    reader.skip(2)
    name = strings[classes[reader.u2()]]
    reader.skip(2)
    reader.skip(2 * reader.u2())
    fields = _read_members(reader, strings)
    methods = _read_members(reader, strings)
    return ClassFile(
        name=name.replace("/", ".").replace("$", "."),
        fields=tuple(name for name, _ in fields),
        methods=tuple(
            Method(name, tuple(PARAMETER.findall(descriptor[1 : descriptor.index(")")])))
            for name, descriptor in methods
        ),
    )


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, count: int) -> bytes:
        self._at += count
        return self._data[self._at - count : self._at]

    def skip(self, count: int) -> None:
        self._at += count

    def u1(self) -> int:
        return self.take(1)[0]

    def u2(self) -> int:
        return int(struct.unpack(">H", self.take(2))[0])

    def u4(self) -> int:
        return int(struct.unpack(">I", self.take(4))[0])


def _read_constants(reader: _Reader) -> tuple[dict[int, str], dict[int, int]]:
    """Strings by index, and the index of each class's name."""
    strings: dict[int, str] = {}
    classes: dict[int, int] = {}
    index, count = 1, reader.u2()
    while index < count:
        tag = reader.u1()
        if tag == UTF8:
            strings[index] = reader.take(reader.u2()).decode(errors="replace")
        elif tag == CLASS:
            classes[index] = reader.u2()
        else:
            reader.skip(CONSTANT_BYTES[tag])
        # A long and a double take two places.
        index += 2 if tag in {LONG, DOUBLE} else 1
    return strings, classes


def _read_members(reader: _Reader, strings: dict[int, str]) -> list[tuple[str, str]]:
    """Name and descriptor of each public field or method."""
    members = []
    for _ in range(reader.u2()):
        flags, name, descriptor = reader.u2(), strings[reader.u2()], strings[reader.u2()]
        for _ in range(reader.u2()):
            reader.skip(2)
            reader.skip(reader.u4())
        if flags & PUBLIC:
            members.append((name, descriptor))
    return members
