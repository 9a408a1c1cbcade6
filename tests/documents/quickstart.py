"""Records what the quick start prints, at 80 columns, and puts it into README and docs.

    python tests/documents/quickstart.py --photo FILE --data DIR --weights FILE

Trains `frozen` on the data set, exports int8 and benches: some six minutes on two cores. The whole
record goes to docs/quickstart.txt.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from edge_melanoma.machine.environment import cpu_name
from edge_melanoma.machine.markdown import insert_between

ROOT = Path(__file__).parents[2]
PLACES = {"predict": ("README.md",), "bench": ("docs/reading-a-bench.md",)}


def main() -> None:
    """Run the commands and write what they print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name in ("photo", "data", "weights"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        with Image.open(options.photo) as picture:
            picture.convert("RGB").save(work / "photo.jpg", quality=95)
        (work / "photos").symlink_to(options.data.resolve())
        weights = f" --weights {options.weights.resolve()}"
        told = {
            command: record(command + (weights if " train " in command else ""), work)
            for command in (
                "edge-melanoma predict bundled photo.jpg",
                "edge-melanoma train --variant frozen --data photos",
                "edge-melanoma export --quantize int8",
                "edge-melanoma bench",
            )
        }
    blocks = "\n".join(f"$ {command}\n{text}" for command, text in told.items())
    (ROOT / "docs" / "quickstart.txt").write_text(blocks, encoding="utf-8")
    for name, pages in PLACES.items():
        text = next(text for command, text in told.items() if f" {name}" in command).rstrip()
        for page in pages:
            path = ROOT / page
            block = f"```\n{text}\n```\n"
            path.write_text(insert_between(path.read_text("utf-8"), name=name, text=block), "utf-8")
    print(f"Recorded on {cpu_name()}")


def record(command: str, folder: Path) -> str:
    """What a command prints in a terminal of 80 columns; a bench may fail its contract."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=os.environ | {"PATH": path, "COLUMNS": "80", "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode not in ((0, 1) if " bench" in command else (0,)):
        raise SystemExit(f"{command} ended with exit code {done.returncode}")
    return done.stdout


if __name__ == "__main__":
    main()
