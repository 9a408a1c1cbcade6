"""Arrays that are too large for memory: rows in a file, read where they are needed."""

import os
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from filelock import FileLock
from numpy.typing import DTypeLike, NDArray

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import make_private

Numbers = NDArray[np.integer[Any]]

_LINE = 65
"""Bytes of a key in the index: a sha256 and the end of its line."""


class Rows(Protocol):
    """What gives some of its rows as an array: an array itself, or what lies on disk."""

    def __len__(self) -> int:
        """How many rows there are."""

    def __getitem__(self, chosen: slice | Numbers, /) -> NDArray[Any]:
        """The rows of a slice or at some positions, in their order."""


class RowsOnDisk:
    """Rows of one kind in a file, which grow at the end; memory holds those that are asked for.

    Without `path` the file has no name and goes with the process, however that ends. Each reading
    maps the file anew and lets go of it: pages of a lasting map would count as memory of the
    process.

    Raises:
        EdgeMelanomaError: the file cannot be opened, or later that its disk is full.
    """

    def __init__(self, dtype: DTypeLike, path: Path | None = None) -> None:
        self._dtype = np.dtype(dtype)
        self._path = path
        with self._told():
            if path:
                make_private(path.parent)
            file = path.open("a+b") if path else tempfile.TemporaryFile()  # noqa: SIM115  (kept open)
        self._file: IO[bytes] = file
        weakref.finalize(self, self._file.close)
        self._count = 0

    def append(self, rows: NDArray[Any]) -> None:
        """Add rows (n, ...) at the end; in a file that lasts, they are on the disk afterwards."""
        with self._told():
            self._file.write(np.ascontiguousarray(rows, dtype=self._dtype.base).tobytes())
            self._file.flush()
            if self._path:
                os.fsync(self._file.fileno())
        self._count += len(rows)

    def cut(self, most: int) -> int:
        """Keep at most so many of the rows that are whole in the file; how many there are."""
        size = os.fstat(self._file.fileno()).st_size
        self._count = min(most, size // self._dtype.itemsize)
        if size > self._count * self._dtype.itemsize:
            self._file.truncate(self._count * self._dtype.itemsize)
        return self._count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, chosen: slice | Numbers, /) -> NDArray[Any]:
        return self.read(chosen)

    def read(self, chosen: slice | Numbers, *, field: str | None = None) -> NDArray[Any]:
        """A copy of some rows, or of one field of them."""
        if not self._count:
            empty = np.empty(0, self._dtype)
            return empty[field] if field else empty
        rows = np.memmap(self._file, dtype=self._dtype, mode="r", shape=(self._count,))
        return np.array((rows[field] if field else rows)[chosen])

    @contextmanager
    def _told(self) -> Iterator[None]:
        """An error of the disk as a sentence."""
        try:
            yield
        except OSError as error:
            folder = f"The folder of temporary files, {tempfile.gettempdir()},"
            way = "free its disk or name another folder by TMPDIR"
            if self._path:
                folder = str(self._path)
                way = "free the disk or go on without the cache, with --no-cache"
            raise EdgeMelanomaError(
                f"{folder} cannot be written: {error.strerror}; {way}."
            ) from error


class RowStore:
    """Rows of one kind by the sha256 of the picture that each is of.

    With `path` they last: an index beside the file names the keys in the order of the rows. A row
    counts once its key is written, after the row itself; what a killed process left behind is cut
    off. Processes may share the file; one at a time adds to it.
    """

    def __init__(self, dtype: DTypeLike, path: Path | None = None) -> None:
        self.rows = RowsOnDisk(dtype, path)
        self._index = path.with_name("index.txt") if path else None
        self._lock = FileLock(path.with_name("lock")) if path else nullcontext()
        self._places: dict[str, int] = {}
        self._known = 0
        with self.held():
            pass

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def keys(self) -> frozenset[str]:
        """What there are rows of by now."""
        return frozenset(self._places)

    def places(self, keys: Sequence[str | None]) -> NDArray[np.int64]:
        """Where the rows of some keys are among `rows`."""
        return np.array([self._places[str(key)] for key in keys], dtype=np.int64)

    @contextmanager
    def held(self) -> Iterator[None]:
        """No other process adds rows in the meantime, and those that others added are known."""
        with self._lock:
            if self._index:
                self._index.touch()
                whole = self.rows.cut(self._index.stat().st_size // _LINE)
                os.truncate(self._index, whole * _LINE)
                with self._index.open(encoding="ascii") as stream:
                    stream.seek(self._known * _LINE)
                    self._learn(stream.read().split())
            yield

    def append(self, keys: Sequence[str], rows: NDArray[Any]) -> None:
        """Add a row (n, ...) for each of n keys."""
        with self.held():
            self.rows.append(rows)
            if self._index:
                with self._index.open("a", encoding="ascii") as stream:
                    stream.writelines(f"{key}\n" for key in keys)
            self._learn(keys)

    def _learn(self, keys: Sequence[str]) -> None:
        self._places.update(zip(keys, range(self._known, self._known + len(keys)), strict=True))
        self._known += len(keys)


@dataclass(frozen=True, slots=True)
class ChosenRows:
    """Those `rows` that are at the positions `chosen`, and no others; or one field of them."""

    rows: Rows
    chosen: Numbers
    field: str | None = None

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, chosen: slice | Numbers, /) -> NDArray[Any]:
        found = self.rows[self.chosen[chosen]]
        return found[self.field] if self.field else found
