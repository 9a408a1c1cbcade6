"""Files that no repository can hold: pipes, links, names; made where they are needed."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from bad_images import READ, REFUSED, SKIPPED, Fate, encode, hash_pixels, pattern
from PIL import Image

LARGE = 2**30
"""Bytes that a sparse file says it has."""

LONGEST_NAME = 255


def place_odd_files(folder: Path) -> list[Fate]:
    """Make them all in `folder`; what becomes of each."""
    picture = encode(Image.fromarray(pattern()), "PNG")
    return [*_readable(folder, picture), *_by_name(folder, picture), *_no_files(folder)]


def _readable(folder: Path, picture: bytes) -> Iterator[Fate]:
    names = [
        "name with spaces.png",
        "line\nbreak.png",
        "tab\tand\x1b[31mcolour.png",
        "Präparat_黒色腫.png",
        "<img onerror=alert(1)>.png",
        "--help.png",
        "x" * (LONGEST_NAME - len(".png")) + ".png",
    ]
    for name in names:
        (folder / name).write_bytes(picture)
    (folder / "link.png").symlink_to(names[0])
    for name in (*names, "link.png"):
        yield Fate(file=name, fate=READ, pixels_sha256=hash_pixels(pattern()))


def _by_name(folder: Path, picture: bytes) -> Iterator[Fate]:
    names = ["picture", "notes.txt", ".hidden.png", ".DS_Store", "Thumbs.db", "desktop.ini"]
    names += ["picture.png.part", "picture.png~"]
    for name in names:
        (folder / name).write_bytes(picture)
        yield Fate(file=name, fate=SKIPPED)
    # What macOS leaves beside each file on foreign disks.
    (folder / "._resource.png").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")
    yield Fate(file="._resource.png", fate=SKIPPED)
    (folder / "loop of folders").symlink_to(folder, target_is_directory=True)
    yield Fate(file="loop of folders", fate=SKIPPED)


def _no_files(folder: Path) -> Iterator[Fate]:
    makers: dict[str, Callable[[Path], object]] = {
        "pipe.png": os.mkfifo,
        "folder.png": lambda path: path.mkdir(),
        "loop.png": lambda path: path.symlink_to(path.name),
        "nowhere.png": lambda path: path.symlink_to("missing"),
        "device.png": lambda path: path.symlink_to("/dev/zero"),
        "folder behind a link.png": lambda path: path.symlink_to(folder),
        "socket.png": _make_socket,
    }
    for name, make in makers.items():
        make(folder / name)
        yield Fate(file=name, fate=REFUSED, reason="is missing or is not a regular file")
    with (folder / "large.png").open("wb") as stream:
        stream.truncate(LARGE)
    yield Fate(file="large.png", fate=REFUSED, reason=f"has {LARGE} bytes")
    _make_unreadable(folder / "unreadable.png")
    yield Fate(file="unreadable.png", fate=REFUSED, reason="cannot be read")
    stray = os.fsdecode(b"stray \xff.png")
    (folder / stray).write_bytes(encode(Image.fromarray(pattern()), "PNG"))
    yield Fate(file=stray, fate=REFUSED, reason="has a name that is not UTF-8")


def _make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        # The address of a socket holds a hundred letters.
        folder = os.open(path.parent, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{folder}/{path.name}")
        os.close(folder)


def _make_unreadable(path: Path) -> None:
    """A file without permission; for root, who may read all, one whose reading fails."""
    if os.geteuid() == 0:
        path.symlink_to("/proc/self/mem")
        return
    path.touch()
    path.chmod(0)
