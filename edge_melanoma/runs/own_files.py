"""What is kept of this user's own runs where nobody else can look or write.

The hashes of the model files that were made here: these alone are run without a trial before. A
seal or a manifest says that a file is unchanged, and anybody can make one for any file. And the
folders of the pictures that runs were trained from, which files that are handed on do not tell.
"""

import json
import os
from contextlib import suppress
from pathlib import Path

import platformdirs

import edge_melanoma
from edge_melanoma.machine.files import make_private

SHIPPED = Path(edge_melanoma.__file__).with_name("bundled_run")
MODELS, FOLDERS, WORDS = "own-models.txt", "data-folders.txt", "option-words.txt"
LARGEST_BYTES = 2**22
"""Of a list: sixty thousand exports, twenty thousand folders."""


def remember_own(sha256: str) -> None:
    """Note a file that was made here; where that cannot be written, it is tried like any other."""
    _note(MODELS, sha256)


def is_own(path: Path, sha256: str) -> bool:
    """Whether the file was made here, or came with the package."""
    if path.resolve().is_relative_to(SHIPPED):
        return True
    return sha256.encode() in _notes(MODELS)


def remember_folder(folder: Path, *, fingerprint: str, name: str) -> None:
    """Note where the set `name` lies of the pictures that have this fingerprint."""
    if find_folder(fingerprint, name) != folder.absolute():
        _note(FOLDERS, json.dumps([fingerprint, name, str(folder.absolute())]))


def find_folder(fingerprint: str, name: str) -> Path | None:
    """Where it was last, if that was noted."""
    start = json.dumps([fingerprint, name]).removesuffix("]").encode()
    found = [line for line in _notes(FOLDERS) if line.startswith(start)]
    return Path(json.loads(found[-1])[2]) if found else None


def remember_word(word: str, *, told: str, file: Path) -> None:
    """Note what an option was that a file tells in other words."""
    if find_word(told, file=file) != word:
        _note(WORDS, json.dumps([str(file.absolute()), told, word]))


def find_word(told: str, *, file: Path) -> str:
    """What it was, if that was noted; else as it is told."""
    start = json.dumps([str(file.absolute()), told]).removesuffix("]").encode()
    found = [line for line in _notes(WORDS) if line.startswith(start)]
    return str(json.loads(found[-1])[2]) if found else told


def _note(name: str, line: str) -> None:
    place = _folder() / name
    with suppress(OSError):
        make_private(place.parent)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        with open(os.open(place, flags, 0o600), "w", encoding="ascii") as stream:
            stream.write(f"{line}\n")


def _notes(name: str) -> list[bytes]:
    try:
        with (_folder() / name).open("rb") as stream:
            return stream.read(LARGEST_BYTES).splitlines()
    except OSError:
        return []


def _folder() -> Path:
    return Path(platformdirs.user_state_dir("edge-melanoma"))
