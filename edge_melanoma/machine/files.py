"""Files that get their name when they are whole, and what is written as JSON and CSV."""

import csv
import hashlib
import io
import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge_melanoma.errors import EdgeMelanomaError, printable
from edge_melanoma.machine.terminal import say_more

UNFINISHED_PREFIX = ".unfinished-"
"""Of files that are being written: they get their names when they are whole."""
ESCAPES = re.compile(r"\\(?:[\\nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
FORMULAS = ("=", "+", "-", "@", "'")
"""What begins a formula; and the sign that keeps text from being one."""
STDOUT = Path("-")
"""What a person writes in place of a file."""


def write_atomically(path: Path, data: bytes | str) -> None:
    """Put a whole file at `path` or leave what was there: temporary file, fsync, rename, fsync.

    A link is replaced and not followed; a device or a pipe is written into. A file that is there
    keeps its permissions, a new one has those that the umask leaves.
    """
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
            if is_device(path):
                path.write_bytes(data.encode() if isinstance(data, str) else data)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=UNFINISHED_PREFIX)
            written[path] = Path(name)
            with open(descriptor, "wb") as stream:
                stream.write(data.encode() if isinstance(data, str) else data)
                stream.flush()
                os.fsync(descriptor)
            written[path].chmod(_permissions_of(path))
        for path, temporary in written.items():
            temporary.replace(path)
            say_more(f"Wrote {path}, {path.stat().st_size:,} bytes")
        for folder in {path.parent for path in written}:
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


def make_private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, that nobody else can look into."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)


def is_device(path: Path) -> bool:
    """Whether it is there and neither a file nor a folder, such as /dev/stdout or a pipe."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _permissions_of(path: Path) -> int:
    if path.is_file() and not path.is_symlink():
        return path.stat().st_mode & 0o777
    umask = os.umask(0o077)
    os.umask(umask)
    return 0o666 & ~umask


def write_result(path: Path | None, content: object) -> bool:
    """Write a command's result where --json says; true where it is stdout, which then has no more.

    Without a path nothing is written.
    """
    if path == STDOUT:
        print(json_text(content).removesuffix("\n"))
    elif path is not None:
        write_json(path, content)
    return path == STDOUT


def write_json(path: Path, content: object) -> None:
    """Write readable JSON atomically."""
    write_atomically(path, json_text(content))


def json_text(content: object) -> str:
    """Readable JSON, as files hold it; NaN is refused because it is no JSON."""
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def sha256_of_file(path: Path) -> str:
    """The same of a file, however large, without holding it in memory."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of(data: bytes) -> str:
    """sha256 as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def cell_text(value: object) -> object:
    """A cell of a CSV table: no text in it is a formula to a spreadsheet, or steers a terminal.

    Text that would begin a formula has an apostrophe before it, control codes are escapes, and a
    backslash is two; `text_of_cell` undoes it.
    """
    if not isinstance(value, str):
        return value
    text = printable(value.replace("\\", "\\\\"))
    return f"'{text}" if text.startswith(FORMULAS) else text


def text_of_cell(cell: str) -> str:
    """The inverse of `cell_text`."""
    text = cell.removeprefix("'")
    return ESCAPES.sub(lambda found: found[0].encode().decode("unicode_escape"), text)


def rows_to_csv(rows: Sequence[Mapping[str, object]]) -> str:
    """A header of the first row's keys and a line a row."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: cell_text(cell) for name, cell in row.items()} for row in rows)
    return stream.getvalue()
