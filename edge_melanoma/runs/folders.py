"""Where a run is written: chosen, found writable before the work, and held by one process."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import STDOUT, UNFINISHED_PREFIX, is_device, write_atomically
from edge_melanoma.runs.models import RUNS_FOLDER

LOCK, OWNER = ".lock", ".owner"
"""The lock ends with its process; the other file only tells which process that is."""


def choose_run_folder(out: Path | None, *, variant: str, force: bool) -> Path:
    """The folder for a new run: `out`, or the next free runs/<variant>-<n>.

    Raises:
        EdgeMelanomaError: `out` holds files already and `force` is off, or cannot be written.
    """
    if out is None:
        return _make_numbered(variant)
    names = {path.name for path in out.iterdir()} if out.is_dir() else set()
    is_free = not out.exists() or (out.is_dir() and names <= {LOCK, OWNER})
    if not is_free and not force:
        raise EdgeMelanomaError(
            f"{out} exists and is not empty; choose another --out, go on with --resume, "
            f"or replace it with --force."
        )
    refuse_unwritable(out / LOCK)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(out, error) from error
    return out


def _make_numbered(variant: str) -> Path:
    """Two processes that begin at once get two folders."""
    for number in count(1):
        folder = RUNS_FOLDER / f"{variant}-{number}"
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:
            continue
        except OSError as error:
            raise _unwritable(folder, error) from error
    return folder


@contextmanager
def hold_run(folder: Path) -> Iterator[None]:
    """Keep other processes out of a run folder, and clear away what a killed one left in it.

    Raises:
        EdgeMelanomaError: another process holds the folder, or it cannot be written.
    """
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise EdgeMelanomaError(
            f"{folder} is being written by process {owner_of(folder)}; wait until that has ended, "
            f"or choose another folder."
        ) from error
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        write_atomically(folder / OWNER, str(os.getpid()))
        for leftover in folder.rglob(f"{UNFINISHED_PREFIX}*"):
            leftover.unlink(missing_ok=True)
        yield
    finally:
        (folder / OWNER).unlink(missing_ok=True)
        lock.release()
        if {path.name for path in folder.iterdir()} <= {LOCK}:
            # Nothing came of it.
            (folder / LOCK).unlink(missing_ok=True)
            folder.rmdir()


def owner_of(folder: Path) -> str:
    """The process that holds a run folder, by its id, where one says so."""
    try:
        return (folder / OWNER).read_text(encoding="ascii") or "another"
    except OSError:
        return "another"


def refuse_unwritable(*files: Path | None) -> None:
    """Find out before the work whether its results can be written: nothing is, and none is left.

    Raises:
        EdgeMelanomaError: one of the files is a folder, or there is no writing where it belongs.
    """
    for file in filter(None, files):
        if file == STDOUT or is_device(file):
            continue
        if file.is_dir():
            raise EdgeMelanomaError(f"{file} is a folder; expected the name of a file to write.")
        folder = next(parent for parent in file.absolute().parents if parent.exists())
        try:
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise _unwritable(file.parent, error) from error


def _unwritable(folder: Path, error: OSError) -> EdgeMelanomaError:
    return EdgeMelanomaError(f"{folder} cannot be written: {error.strerror}; choose another --out.")
