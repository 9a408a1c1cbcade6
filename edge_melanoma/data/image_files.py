"""Where the bytes of a picture are: a file of its own, or a part of a file of many."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_melanoma.errors import EdgeMelanomaError

PACKED_COLUMNS = ("shard", "offset", "length", "sha256")
"""Of a labels.csv whose pictures are packed: where they are, in bytes, and their hash."""

HASH_DIGITS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedImage:
    """The `length` bytes at `offset` of the file `path`, which were those of the picture `name`.

    `sha256` is that of these bytes: a shard that was changed or exchanged is found out.
    """

    path: Path
    offset: int
    length: int
    name: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.path}:{self.name}"


ImageFile = Path | PackedImage


def read_packed_columns(
    row: Mapping[str, str | None], *, name: str, table: Path, line: int
) -> PackedImage:
    """The place of the picture `name` from a row of `table`.

    Raises:
        EdgeMelanomaError: a shard outside the folder of the table, no whole numbers, or no hash.
    """
    shard, offset, length, sha256 = ((row.get(column) or "").strip() for column in PACKED_COLUMNS)
    if not (offset.isdecimal() and length.isdecimal() and len(sha256) == HASH_DIGITS):
        raise EdgeMelanomaError(
            f"{table} line {line} does not say where '{name}' is in its shard; expected offset and "
            f"length in bytes and a sha256, as edge-melanoma data shard writes them."
        )
    return PackedImage(
        path=path_inside(shard, table=table, line=line),
        offset=int(offset),
        length=int(length),
        name=name,
        sha256=sha256,
    )


def path_inside(word: str, *, table: Path, line: int) -> Path:
    """The file that a row of `table` names, relative to the table's folder and inside it.

    Raises:
        EdgeMelanomaError: an empty name, an absolute path, or one that leads out.
    """
    name = Path(word)
    if not name.parts or name.is_absolute() or ".." in name.parts:
        raise EdgeMelanomaError(
            f"{table} line {line} names the file '{word}'; "
            f"expected a path inside the folder of the table."
        )
    return table.parent / name
