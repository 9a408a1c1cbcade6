"""Files that get their name when they are whole, and what is written and read as JSON and CSV."""

import csv
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_melanoma.errors import EdgeMelanomaError

UNFINISHED_PREFIX = ".unfinished-"
"""Of files that are being written: they get their names when they are whole."""


def write_atomically(path: Path, data: bytes | str) -> None:
    """Put a whole file at `path` or leave what was there: temporary file, fsync, rename, fsync."""
    write_together({path: data})


def write_together(contents: Mapping[Path, bytes | str]) -> None:
    """The same for files that belong together: where one cannot be written, none is replaced.

    Raises:
        EdgeMelanomaError: the disk is full or a folder cannot be written.
    """
    written: dict[Path, Path] = {}
    path = next(iter(contents))
    try:
        for path, data in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=UNFINISHED_PREFIX)
            written[path] = Path(name)
            with open(descriptor, "wb") as stream:
                stream.write(data.encode() if isinstance(data, str) else data)
                stream.flush()
                os.fsync(descriptor)
            written[path].chmod(0o644)
        for path, temporary in written.items():
            temporary.replace(path)
        for folder in {path.parent for path in contents}:
            entry = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(entry)
            finally:
                os.close(entry)
    except OSError as error:
        raise EdgeMelanomaError(
            f"{path} cannot be written: {error.strerror}; free the disk or choose another folder."
        ) from error
    finally:
        for temporary in written.values():
            temporary.unlink(missing_ok=True)


def write_json(path: Path, content: object) -> None:
    """Write readable JSON atomically."""
    write_atomically(path, json_text(content))


def json_text(content: object) -> str:
    """Readable JSON, as files hold it; NaN is refused because it is no JSON."""
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from disk.

    Raises:
        EdgeMelanomaError: no such file, no JSON, or no object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise EdgeMelanomaError(f"{path} is not a readable JSON file: {error}.") from error
    if not isinstance(content, dict):
        raise EdgeMelanomaError(f"{path} holds no JSON object.")
    return content


def sha256_of(data: bytes) -> str:
    """sha256 as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def rows_to_csv(rows: Sequence[Mapping[str, object]]) -> str:
    """A header of the first row's keys and a line a row."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
