"""Pictures on disk: which files are taken for pictures, where a data set begins, and who is who."""

import filecmp
import glob
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from edge_melanoma.errors import EdgeMelanomaError, printable
from edge_melanoma.machine.terminal import Reporter

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"}
    | {".heic", ".heif", ".avif"}
)
"""Files of other names are skipped. What is in one of these is not told by its name."""

SIDE_NAMES = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}


def names_a_picture(path: Path) -> bool:
    """Whether a file is taken for a picture: by its suffix, and not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def is_passed_over(folder: Path) -> bool:
    """Whether nobody looks into a folder: hidden ones, those of archivers, and links.

    A loop of links would list a picture many times.
    """
    return folder.name.startswith((".", "__")) or folder.is_symlink()


def visible_folders(folder: Path) -> list[Path]:
    """Those directly inside, but hidden ones and those of archivers."""
    return sorted(
        sub for sub in folder.iterdir() if sub.is_dir() and not sub.name.startswith((".", "__"))
    )


def image_files(folder: Path) -> Iterator[Path]:
    """At any depth; among them folders with the name of a picture, for the reader to refuse."""
    for parent, folders, names in os.walk(folder):
        paths = [Path(parent, name) for name in (*names, *folders)]
        yield from filter(names_a_picture, paths)
        entered = [path for path in paths[len(names) :] if not names_a_picture(path)]
        folders[:] = [path.name for path in entered if not is_passed_over(path)]


def find_root(folder: Path, begins_at: Callable[[Path], bool]) -> Path:
    """Where a data set begins: in `folder`, or in the only one inside that has pictures below.

    Archives unpack into a folder of their own, some into two.
    """
    while not begins_at(folder):
        inside = [sub for sub in visible_folders(folder) if any(image_files(sub))]
        if len(inside) != 1 or any(map(names_a_picture, (*folder.iterdir(), *inside[0].iterdir()))):
            break
        (folder,) = inside
    return folder


def side_of(file: PurePosixPath) -> str | None:
    """The given side that a picture stands on, by the folders above it."""
    sides = (SIDE_NAMES.get(part.lower()) for part in file.parts[:-1])
    return next(filter(None, sides), None)


class PictureIndex:
    """The pictures below a folder, to be found by what tables call them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._by_stem: dict[str, list[PurePosixPath]] = defaultdict(list)
        for path in sorted(image_files(root)):
            file = PurePosixPath(path.relative_to(root).as_posix())
            self._by_stem[file.stem.lower()].append(file)

    def find(self, word: str, *, by_name: bool) -> PurePosixPath | None:
        """The file of this path, name or id; of several, the one in the folders that `word` names.

        Upper and lower case are alike, paths may be those of Windows and of another machine, and
        the extension may be missing or another one. `by_name`, folders may be others too.

        Raises:
            EdgeMelanomaError: files of this name that are not copies of each other.
        """
        named = PurePosixPath(word.replace("\\", "/"))
        stem = named.stem if names_a_picture(Path(named)) else named.name
        likeness = {file: _likeness(named, file) for file in self._by_stem.get(stem.lower(), [])}
        fitting = {file: like for file, like in likeness.items() if by_name or like.is_whole}
        best = [file for file, like in fitting.items() if like == max(fitting.values())]
        for other in best[1:]:
            paths = self.root / best[0], self.root / other
            if not filecmp.cmp(*paths, shallow=False):
                raise EdgeMelanomaError(
                    f"'{printable(word)}' may be {best[0]} or {other} of {self.root}, which "
                    f"differ; name the folder in the table too."
                )
        return best[0] if best else None


class _Likeness(NamedTuple):
    """How well a file is the one that is named, the most telling first.

    `is_whole` says that one path ends with all of the other, but for the extension.
    """

    is_equal: bool
    is_whole: bool
    agreeing_folders: int
    has_extension: bool


def _likeness(named: PurePosixPath, file: PurePosixPath) -> _Likeness:
    one, other = (PurePosixPath(str(path).lower()) for path in (named, file))
    pairs = list(zip(one.parts[-2::-1], other.parts[-2::-1], strict=False))
    agreeing = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return _Likeness(named == file, agreeing == len(pairs), agreeing, one.name == other.name)


def find_pictures(words: Sequence[str], *, recursive: bool, reporter: Reporter) -> list[Path]:
    """The files that are meant by files, folders and patterns, each once, in the order given.

    Of a folder these are its pictures, and with `recursive` those of its folders too; a link to a
    folder is not followed. What means no file is told.

    Raises:
        EdgeMelanomaError: nothing means a file.
    """
    found: dict[Path, None] = {}
    told = []
    for word in words:
        is_pattern = glob.has_magic(word) and not os.path.lexists(word)
        paths = sorted(glob.glob(word, recursive=True)) if is_pattern else [word]
        files = [file for path in paths for file in _pictures_of(Path(path), recursive)]
        found.update(dict.fromkeys(files))
        if not files:
            deeper = "" if recursive else "; --recursive looks into folders inside"
            told.append(f"There are no pictures in {printable(word)}{deeper}")
    if not found:
        raise EdgeMelanomaError(f"{told[0]}.")
    for line in told:
        reporter.say(line)
    return list(found)


def _pictures_of(path: Path, recursive: bool) -> list[Path]:
    if not path.is_dir() or path.is_symlink() or names_a_picture(path):
        return [path]
    return sorted(image_files(path) if recursive else filter(names_a_picture, path.iterdir()))
