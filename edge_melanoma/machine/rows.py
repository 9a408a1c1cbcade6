"""Arrays that are too large for memory: rows in a file, read where they are needed."""

import tempfile
import weakref
from dataclasses import dataclass
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edge_melanoma.errors import EdgeMelanomaError

Numbers = NDArray[np.integer[Any]]


class Rows(Protocol):
    """What gives some of its rows as an array: an array itself, or what lies on disk."""

    def __len__(self) -> int:
        """How many rows there are."""

    def __getitem__(self, chosen: slice | Numbers, /) -> NDArray[Any]:
        """The rows of a slice or at some positions, in their order."""


class RowsOnDisk:
    """Rows of one kind in a file, which grow at the end; memory holds those that are asked for.

    The file has no name and goes with the process, however that ends. Each reading maps the file
    anew and lets go of it: pages of a lasting map would count as memory of the process.
    """

    def __init__(self, dtype: DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the rows)
        weakref.finalize(self, self._file.close)
        self._count = 0

    def append(self, rows: NDArray[Any]) -> None:
        """Add rows (n, ...) at the end.

        Raises:
            EdgeMelanomaError: there is no room for temporary files.
        """
        try:
            self._file.write(np.ascontiguousarray(rows, dtype=self._dtype.base).tobytes())
            self._file.flush()
        except OSError as error:
            raise EdgeMelanomaError(
                f"The folder of temporary files, {tempfile.gettempdir()}, cannot be written: "
                f"{error.strerror}; free its disk or name another folder by TMPDIR."
            ) from error
        self._count += len(rows)

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


@dataclass(frozen=True, slots=True)
class FieldOfRows:
    """One field of `rows`, as rows."""

    rows: RowsOnDisk
    field: str

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: slice | Numbers, /) -> NDArray[Any]:
        return self.rows.read(chosen, field=self.field)


@dataclass(frozen=True, slots=True)
class ChosenRows:
    """Those `rows` that are at the positions `chosen`, and no others."""

    rows: Rows
    chosen: Numbers

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, chosen: slice | Numbers, /) -> NDArray[Any]:
        return self.rows[self.chosen[chosen]]
