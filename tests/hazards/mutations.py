"""Seeded damage to a model file: the same number always gives the same damage."""

import random
from collections.abc import Callable

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edge_melanoma.tflite.metadata import SEAL_NAME

HEADER_BYTES = 8
LARGEST_STRETCH = 4096


def without_seal(data: bytes) -> bytes:
    """The same model with nothing inside of it that tells of damage: its seal has another name."""
    return data.replace(SEAL_NAME, b"-" * len(SEAL_NAME))


class Mutator:
    """Damages one file in twelve ways, by turns."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._constants = _constants(data)
        self._tables = _bytes_outside(data, self._constants)
        self._ways: dict[str, Callable[[random.Random], bytes]] = {
            "truncated": self._truncate,
            "bit flipped anywhere": lambda rng: self._flip(rng, range(len(data))),
            "bit flipped in a table": lambda rng: self._flip(rng, self._tables),
            "bits flipped": lambda rng: self._flip(rng, range(len(data)), count=8),
            "bytes deleted": self._delete,
            "byte deleted": lambda rng: self._delete(rng, largest=1),
            "bytes inserted": self._insert,
            "byte in a table replaced": self._replace,
            "random bytes behind the header": self._random_body,
            "stretch of zeros": self._blank,
            "swapped buffers": self._swap,
            "stretch moved": self._move,
        }

    def mutate(self, number: int) -> tuple[str, bytes]:
        """What was done, and the damaged file, which differs from the undamaged one."""
        name = list(self._ways)[number % len(self._ways)]
        rng = random.Random(number)
        while (damaged := self._ways[name](rng)) == self._data:
            pass
        return name, damaged

    def _truncate(self, rng: random.Random) -> bytes:
        return self._data[: rng.randrange(len(self._data))]

    def _flip(self, rng: random.Random, places: range | NDArray[np.int64], count: int = 1) -> bytes:
        damaged = bytearray(self._data)
        for _ in range(count):
            damaged[int(places[rng.randrange(len(places))])] ^= 1 << rng.randrange(8)
        return bytes(damaged)

    def _delete(self, rng: random.Random, largest: int = LARGEST_STRETCH) -> bytes:
        start, size = self._stretch(rng, largest)
        return self._data[:start] + self._data[start + size :]

    def _insert(self, rng: random.Random) -> bytes:
        start, size = self._stretch(rng, LARGEST_STRETCH)
        return self._data[:start] + rng.randbytes(size) + self._data[start:]

    def _replace(self, rng: random.Random) -> bytes:
        damaged = bytearray(self._data)
        damaged[int(self._tables[rng.randrange(len(self._tables))])] = rng.randrange(256)
        return bytes(damaged)

    def _random_body(self, rng: random.Random) -> bytes:
        size = rng.choice((64, 1_000, 100_000, len(self._data)))
        return self._data[:HEADER_BYTES] + rng.randbytes(size)

    def _blank(self, rng: random.Random) -> bytes:
        start, size = self._stretch(rng, LARGEST_STRETCH)
        return self._data[:start] + bytes(size) + self._data[start + size :]

    def _swap(self, rng: random.Random) -> bytes:
        """The contents of two constants, as far as the shorter one goes."""
        (one, one_size), (other, other_size) = rng.sample(self._constants, 2)
        size, damaged = min(one_size, other_size), bytearray(self._data)
        damaged[one : one + size] = self._data[other : other + size]
        damaged[other : other + size] = self._data[one : one + size]
        return bytes(damaged)

    def _move(self, rng: random.Random) -> bytes:
        start, size = self._stretch(rng, LARGEST_STRETCH)
        rest = self._data[:start] + self._data[start + size :]
        to = rng.randrange(len(rest))
        return rest[:to] + self._data[start : start + size] + rest[to:]

    def _stretch(self, rng: random.Random, largest: int) -> tuple[int, int]:
        size = rng.randint(1, largest)
        return rng.randrange(len(self._data) - size), size


def _constants(data: bytes) -> list[tuple[int, int]]:
    """Place and size of the data of each buffer."""
    start, model = np.frombuffer(data, np.uint8).ctypes.data, schema.Model.GetRootAs(data, 0)
    buffers = [model.Buffers(number) for number in range(model.BuffersLength())]
    contents = [buffer.DataAsNumpy() for buffer in buffers if buffer.DataLength()]
    return [(int(content.ctypes.data - start), len(content)) for content in contents]


def _bytes_outside(data: bytes, stretches: list[tuple[int, int]]) -> NDArray[np.int64]:
    """The places of all bytes that are not the data of a buffer."""
    is_table = np.ones(len(data), np.bool_)
    for start, size in stretches:
        is_table[start : start + size] = False
    return np.flatnonzero(is_table)
