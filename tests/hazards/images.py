"""Bad pictures, each through the shared reader and through commands: as its stated fate says.

`python tests/hazards/images.py --out build/hazards/images.json` writes rows for the table of
hazards. The largest pictures that are read are made here too, and their memory is measured.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from bad_images import FOLDER, ORIENTATION, READ, REFUSED, SKIPPED, TABLE, Fate, hash_pixels
from odd_names import place_odd_files
from PIL import Image

from edge_melanoma.data.images import (
    LARGEST_COSTLY_PIXEL_COUNT,
    LARGEST_PIXEL_COUNT,
    UnreadableImageError,
    decode_image,
    read_image_bytes,
)
from edge_melanoma.errors import printable
from edge_melanoma.machine.files import write_json
from edge_melanoma.runs.bundled import bundled_model

LARGEST_MEMORY_MB = 400
SECONDS = 300
Row = dict[str, Any]


def committed_fates() -> list[Fate]:
    """The table of the kinds that the repository holds."""
    return [Fate(**row) for row in json.loads((FOLDER / TABLE).read_text(encoding="utf-8"))]


def place_all(data: Path) -> list[Fate]:
    """A data set with every kind among its benign pictures and one malignant picture."""
    for name in ("benign", "malignant"):
        (data / name).mkdir(parents=True)
    fates = committed_fates()
    for fate in fates:
        (data / "benign" / fate.file).symlink_to(FOLDER / fate.file)
    Image.new("RGB", (8, 8), "red").save(data / "malignant" / "a.png")
    return [*fates, *place_odd_files(data / "benign")]


def meets_fate(fate: Fate, path: Path) -> bool:
    """Whether the shared reader does with a file what is stated."""
    try:
        found = hash_pixels(decode_image(read_image_bytes(path), name=path.name))
    except UnreadableImageError as error:
        return fate.fate == REFUSED and str(fate.reason) in str(error)
    return fate.fate == READ and found == fate.pixels_sha256


def measure_memory(paths: Sequence[Path]) -> float:
    """MB that reading the pictures adds to a process's peak; a hang is an error."""
    measured = subprocess.run(
        [sys.executable, Path(__file__).with_name("reading_memory.py")],
        input=b"\0".join(os.fsencode(path) for path in paths),
        capture_output=True,
        timeout=SECONDS,
        check=True,
    )
    return float(measured.stdout)


def largest_pictures(folder: Path) -> Iterator[Path]:
    """One of each costly kind with as many pixels as are read."""
    side, costly_side = (
        int(count**0.5) for count in (LARGEST_PIXEL_COUNT, LARGEST_COSTLY_PIXEL_COUNT)
    )
    turned = Image.Exif()
    turned[ORIENTATION] = 6
    picture = Image.linear_gradient("L").resize((side, side)).convert("RGB")
    yield _saved(picture, folder / "turned.jpg", exif=turned)
    yield _saved(picture, folder / "turned.png", exif=turned, compress_level=1)
    small = picture.resize((costly_side, costly_side))
    clear = small.copy()
    clear.putalpha(Image.linear_gradient("L").resize((costly_side, costly_side)))
    yield _saved(clear, folder / "clear.png", exif=turned, compress_level=1)
    yield _saved(small, folder / "a.webp", method=0)
    yield _saved(small.convert("CMYK"), folder / "progressive.jpg", progressive=True)


def _saved(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


def run_command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The real command line, in a process of its own."""
    command = [sys.executable, "-m", "edge_melanoma", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)


def hazard_rows() -> Iterator[Row]:
    """The rows, as they are measured."""
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch, "data")
        fates = place_all(data)
        read = [fate for fate in fates if fate.fate != SKIPPED]
        paths = [data / "benign" / fate.file for fate in read]
        kept = sum(meets_fate(fate, path) for fate, path in zip(read, paths, strict=True))
        memory = measure_memory(paths)
        note = f"read or refused as stated; all together at most {memory:.0f} MB more"
        yield _row("bad picture, shared reader", len(read), kept, note)
        yield _check_row(data, fates, Path(scratch, "check.json"))
        yield _predict_row(data, fates)
        yield _largest_row(Path(scratch))


def _check_row(data: Path, fates: Sequence[Fate], report: Path) -> Row:
    result = run_command("data", "check", data, "--no-cache", "--json", report)
    found = json.loads(report.read_text()) if result.returncode == 0 else {}
    told = {fate.file: _told_by_check(fate, found) for fate in fates}
    note = "refused and skipped files named, the others read"
    return _row("folder of bad pictures, data check", len(told), sum(told.values()), note)


def _told_by_check(fate: Fate, found: dict[str, Any]) -> bool:
    name = f"benign/{printable(fate.file)}"
    bad = {row["file"] for row in found.get("bad", ())}
    skipped = set(found.get("skipped", ()))
    expected = {READ: (False, False), REFUSED: (True, False), SKIPPED: (False, True)}
    return bool(found) and (name in bad, name in skipped) == expected[fate.fate]


def _predict_row(data: Path, fates: Sequence[Fate]) -> Row:
    """All that are read at once, and each refused one by itself."""
    usable = [data / "benign" / fate.file for fate in fates if fate.fate != REFUSED]
    result = run_command("predict", bundled_model(), "--json", *usable)
    scored = [row["file"] for row in json.loads(result.stdout or "[]")]
    expected = [str(data / "benign" / fate.file) for fate in fates if fate.fate == READ]
    survived = len(usable) if scored == expected else 0
    refused = [fate for fate in fates if fate.fate == REFUSED]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        survived += sum(pool.map(lambda fate: _is_refused(data / "benign", fate), refused))
    note = "scored, skipped with a line, or one sentence and exit code 2"
    return _row("bad picture, predict", len(usable) + len(refused), survived, note)


def _is_refused(folder: Path, fate: Fate) -> bool:
    told = run_command("predict", bundled_model(), folder / fate.file)
    is_one_line = told.stderr.count("\n") == 1 and "Traceback" not in told.stderr
    return told.returncode == 2 and is_one_line and str(fate.reason) in told.stderr


def _largest_row(folder: Path) -> Row:
    peaks = {path.name: measure_memory([path]) for path in largest_pictures(folder)}
    survived = int(np.sum(np.array([*peaks.values()]) <= LARGEST_MEMORY_MB))
    note = ", ".join(f"{name} {peak:.0f} MB" for name, peak in peaks.items())
    return _row("largest picture that is read, memory", len(peaks), survived, note)


def _row(hazard: str, tried: int, survived: int, note: str) -> Row:
    lost = tried - survived
    return {"hazard": hazard, "tried": tried, "survived": survived, "lost": lost, "note": note}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the rows; 1 where anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    rows = []
    for row in hazard_rows():
        rows.append(row)
        print(json.dumps(row), file=sys.stderr)
    write_json(chosen.out, rows)
    return int(any(row["lost"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
