"""The rows that fingerprints are, and a cache of them by the sha256 of the pictures."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_melanoma.data.trivial_statistics import TrivialStatistics
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.atomic_writing import whole_file
from edge_melanoma.machine.rows_on_disk import RowsOnDisk

VERSION = "fingerprints-v3"
THUMBNAIL_SIZE = 48
ROW = np.dtype(
    [
        ("sha256", "u1", 32),
        ("pixels", "u1", 32),
        ("statistics", "f8", len(TrivialStatistics._fields)),
        ("thumbnail", "u1", (THUMBNAIL_SIZE, THUMBNAIL_SIZE, 3)),
    ]
)
_CHUNK = 1024


class KnownRows:
    """The rows in a cache folder by sha256; memory holds where they are and not what they say."""

    def __init__(self, folder: Path | None) -> None:
        self._places: dict[bytes, tuple[Path, int]] = {}
        for path in sorted(folder.glob("*.npy")) if folder else ():
            self._list(path)

    def __contains__(self, sha256: str | None) -> bool:
        return sha256 is not None and bytes.fromhex(sha256) in self._places

    def __getitem__(self, sha256: str) -> Any:
        """The row of a picture."""
        path, offset = self._places[bytes.fromhex(sha256)]
        with path.open("rb") as stream:
            stream.seek(offset)
            return np.frombuffer(stream.read(ROW.itemsize), ROW)[0]

    def _list(self, path: Path) -> None:
        try:
            rows = np.load(path, mmap_mode="r")
        except (OSError, ValueError):
            return  # No whole file of rows: what it held is measured again.
        if rows.dtype != ROW:
            return
        offset = rows.offset
        del rows
        with path.open("rb") as stream:
            stream.seek(offset)
            while data := stream.read(_CHUNK * ROW.itemsize):
                for digest in np.frombuffer(data, ROW)["sha256"]:
                    self._places[digest.tobytes()] = (path, offset)
                    offset += ROW.itemsize


def keep_rows(rows: RowsOnDisk, chosen: Sequence[int], folder: Path) -> None:
    """Add a file of some rows to a cache folder.

    Raises:
        EdgeMelanomaError: the folder cannot be written, or its disk is full.
    """
    numbers = np.array(chosen)
    chunks = [numbers[start : start + _CHUNK] for start in range(0, len(numbers), _CHUNK)]
    digests = hashlib.sha256()
    for chunk in chunks:
        digests.update(rows.read(chunk, field="sha256").tobytes())
    path = folder / f"{digests.hexdigest()[:24]}.npy"
    header = {
        "descr": np.lib.format.dtype_to_descr(ROW),
        "fortran_order": False,
        "shape": (len(numbers),),
    }
    try:
        with whole_file(path) as temporary, temporary.open("wb") as stream:
            np.lib.format.write_array_header_1_0(stream, header)
            for chunk in chunks:
                stream.write(rows[chunk].tobytes())
    except OSError as error:
        raise EdgeMelanomaError(
            f"{path} cannot be written: {error.strerror}; free the disk or go on without the "
            f"cache, with --no-cache."
        ) from error
