"""Which model files this user has made here: these alone are run without a trial before.

A seal or a manifest says that a file is unchanged, and anybody can make one for any file. So the
hashes of what was exported here are kept, where nobody else can write.
"""

import os
from contextlib import suppress
from pathlib import Path

import platformdirs

import edge_melanoma
from edge_melanoma.machine.files import make_private

SHIPPED = Path(edge_melanoma.__file__).with_name("bundled_run")
NAME = "own-models.txt"
LARGEST_BYTES = 2**22
"""Of the list: sixty thousand exports."""


def remember_own(sha256: str) -> None:
    """Note a file that was made here; where that cannot be written, it is tried like any other."""
    place = _place()
    with suppress(OSError):
        make_private(place.parent)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        with open(os.open(place, flags, 0o600), "w", encoding="ascii") as stream:
            stream.write(f"{sha256}\n")


def is_own(path: Path, sha256: str) -> bool:
    """Whether the file was made here, or came with the package."""
    if path.resolve().is_relative_to(SHIPPED):
        return True
    try:
        with _place().open("rb") as stream:
            return sha256.encode() in stream.read(LARGEST_BYTES).split()
    except OSError:
        return False


def _place() -> Path:
    return Path(platformdirs.user_state_dir("edge-melanoma")) / NAME
