"""Where everything lies in an Android bundle, and which of its files are written by hand."""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import edge_melanoma
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import sha256_of
from edge_melanoma.tflite.model_info import MODEL_INFO

SOURCES = Path(edge_melanoma.__file__).with_name("android_assets")
"""The hand-written files, in the package; in a checkout a link to its android_assets."""

ASSETS = "app/src/main/assets"
INT8, UINT8, FLOAT16 = (f"{ASSETS}/melanoma_{name}.tflite" for name in ("int8", "uint8", "float16"))
LABELS_FILE = f"{ASSETS}/labels.txt"
MODEL_INFO_FILE = f"{ASSETS}/{MODEL_INFO}"
GOLDEN = "app/src/androidTest/assets/golden"
GOLDEN_FILE = f"{GOLDEN}/golden.json"
README, NOTICE, SUMS = "README.md", "NOTICE", "SHA256SUMS"

GENERATED = (INT8, UINT8, FLOAT16, LABELS_FILE, MODEL_INFO_FILE, GOLDEN_FILE, NOTICE, SUMS)
"""Written from the run; the README is written by hand but for what stands between its markers."""

LEFT_BY_TOOLS = frozenset({"node_modules", "__pycache__", "build", "dist"})


def hand_written_files(folder: Path = SOURCES) -> Iterator[str]:
    """Paths below the folder, sorted; no generated ones, none hidden, and no tool's output."""
    if not (folder / README).is_file():
        raise EdgeMelanomaError(
            f"This copy of edge-melanoma holds no Android sources ({folder} is missing); install "
            f"the whole package."
        )
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        ignored = any(part.startswith(".") or part in LEFT_BY_TOOLS for part in place.parts)
        if path.is_file() and not ignored and place.as_posix() not in GENERATED:
            yield place.as_posix()


def is_picture(name: str) -> bool:
    """Whether a path in a bundle is that of a golden picture."""
    path = PurePosixPath(name)
    return path.parent.as_posix() == GOLDEN and path.suffix in {".png", ".jpg"}


def sums_of(files: Mapping[str, bytes]) -> str:
    """SHA256SUMS, as `sha256sum --check` reads it."""
    return "".join(f"{sha256_of(files[name])}  {name}\n" for name in sorted(files))


def read_sums(text: str) -> dict[str, str]:
    """The hashes of SHA256SUMS by file.

    Raises:
        EdgeMelanomaError: a line that is none of a hash and a path within the bundle.
    """
    sums = {}
    for line in text.splitlines():
        sha256, _, name = line.partition("  ")
        place = PurePosixPath(name)
        if len(sha256) != 64 or not name or place.is_absolute() or ".." in place.parts:
            raise EdgeMelanomaError(
                f"{SUMS} has the line {line!r}; expected a sha256, two spaces and a path within "
                f"the bundle."
            )
        sums[name] = sha256
    return sums


def refuse_full_folder(folder: Path, *, what: str, force: bool) -> None:
    """Before any work is done: `what` is to be written into the folder.

    Raises:
        EdgeMelanomaError: it is a file, or holds files already and `force` is off.
    """
    if folder.exists() and not folder.is_dir():
        raise EdgeMelanomaError(f"{folder} is a file; give a folder with --out.")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise EdgeMelanomaError(
            f"{folder} exists and is not empty; choose another --out, or replace the files of the "
            f"{what} with --force."
        )
