"""Files from strangers and hostile names: how many were tried, and what was lost.

    python tests/hazards/strangers.py --out build/hazards/strangers.json --rounds 20

Lost is a traceback, or a terminal that is steered.
"""

import argparse
import contextlib
import io
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import every_command
from test_hostile_names import NAMES, steers
from test_strangers_files import ODD, changed, places, read_export, read_run

from edge_melanoma.data.phantoms import write_phantoms
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.runs import bundled, converted

CLI = [sys.executable, "-m", "edge_melanoma"]
LONGEST = 240.0
FIELDS: dict[str, Callable[[Path], None]] = {
    "manifest.json": read_run,
    "evaluation.json": read_run,
    "exports/model_int8.json": read_export,
    "exports/model_int8.evaluation.json": read_export,
}


def main() -> int:
    """Try all and write the rows; exit code 1 if something was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=20)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="strangers-") as name:
        folder = Path(name)
        rows: list[dict[str, Any]] = []
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        # After each: whoever stops a long matrix keeps what was found.
        for row in every_row(folder, chosen.rounds):
            is_longer = bool(rows) and rows[-1]["hazard"] == row["hazard"]
            rows[len(rows) - is_longer :] = [row]
            chosen.out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return int(any(row["lost"] for row in rows))


def every_row(folder: Path, rounds: int) -> Iterator[dict[str, Any]]:
    """The rows in turn; one that grows comes again."""
    with patch.object(converted, "verify_model"):  # its bytes are not what is changed
        yield from fields(folder, rounds)
    yield names(folder)
    yield bombs(folder)
    yield from streams(folder)


def fields(folder: Path, rounds: int) -> Iterator[dict[str, Any]]:
    """Any field of a run from somebody else with any odd value: so many times ten of each file."""
    run, chance = folder / "run", random.Random(0)
    shutil.copytree(bundled.FOLDER, run)
    for name, read in FIELDS.items():
        path = run / name
        original = path.read_bytes()
        content, lost, taken = json.loads(original), 0, 0
        everywhere = list(places(content))
        for _ in range(10 * rounds):
            at, value = chance.choice(everywhere), chance.choice(ODD)
            path.write_text(json.dumps(changed(content, at, value)))
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    read(run)
                taken += 1
            except EdgeMelanomaError as error:
                lost += not str(error).isprintable()
            except Exception:
                lost += 1
        path.write_bytes(original)
        tried, note = 10 * rounds, f"{taken} of no consequence, the others one sentence"
        yield row_of(f"a stranger's {Path(name).name}, a field changed", tried, lost, note)


def names(folder: Path) -> dict[str, Any]:
    """Pictures and a set with names that would steer a terminal, through `data check`."""
    data, lost = folder / "[red]set:smile:", 0
    write_phantoms(data, count=24, seed=1, size=96)
    pictures = sorted(path for path in data.rglob("*") if path.is_file())
    for number, name in enumerate(NAMES):
        one = pictures[number % 24]
        shutil.copy(one, one.with_name(f"{name}{one.suffix}"))
    check = ["data", "check", str(data), "--no-cache"]
    for command in (check, ["predict", "bundled", "--recursive", str(data)]):
        done = subprocess.run([*CLI, *command], capture_output=True, text=True, timeout=LONGEST)
        lost += steers(done.stdout + done.stderr) or "Traceback" in done.stderr
    return row_of("hostile names, data check and predict", 2 * len(NAMES), lost, "shown as text")


MEASURED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
sys.exit(code)
"""
"""A process begins with the largest size of the one that starts it: here, which makes the files."""


def bombs(folder: Path) -> dict[str, Any]:
    """Small files that say they are large, each through the command that would read it."""
    lost, slowest, peak, attacks = 0, 0.0, 0, list(_bombs(folder))
    for command in attacks:
        begun = time.monotonic()
        words = [sys.executable, "-c", MEASURED, *CLI, *command]
        done = subprocess.run(words, capture_output=True, text=True, timeout=LONGEST)
        slowest = max(slowest, time.monotonic() - begun)
        peak = max(peak, int(done.stdout))
        lost += done.returncode != 2 or done.stderr.count("\n") != 1
    note = (
        f"one sentence each, after at most {slowest:.0f} s and {peak} MB beside the limited process"
    )
    return row_of("files that unpack to gigabytes", len(attacks), lost, note)


def _bombs(folder: Path) -> Iterator[list[str]]:
    import h5py

    place = folder / "bombs"
    place.mkdir()
    train = ["train", "--data", str(folder), "--weights"]
    for name, shape, chunk in (("chunk", 4, 2**29), ("huge", 2**40, 2**16), ("half", 2**30, 1024)):
        with h5py.File(place / f"{name}.h5", "w") as file:
            options: dict[str, Any] = {"chunks": (chunk,), "maxshape": (None,), "compression": 9}
            file.create_dataset("a/kernel", (shape,), "f2", **options)
        yield [*train, str(place / f"{name}.h5")]
    with zipfile.ZipFile(place / "a.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", bytes(2**26))
        archive.writestr("model.weights.h5", bytes(2**20))
    yield [*train, str(place / "a.keras")]
    for name, length in (("a.tflite", 2**32), ("a.h5", 2**32)):
        with (place / name).open("wb") as stream:
            stream.truncate(length)
        yield [*(["inspect"] if name == "a.tflite" else train), str(place / name)]
    for name, text in (("deep", "[" * 10**6), ("long", " " * 2**24), ("wide", "{}" + "," * 9)):
        run = place / name
        shutil.copytree(bundled.FOLDER, run)
        (run / "manifest.json").write_text(text)
        yield ["verify", str(run)]


def streams(folder: Path) -> Iterator[dict[str, Any]]:
    """Every command with streams that are closed, a reader that goes, or without its folder."""
    ground, losses = every_command.prepare(folder / "ground"), []
    for number, (name, command) in enumerate(every_command.ALL.items(), start=1):
        for what, closed in every_command.CLOSED.items():
            done = every_command.run_apart(command, ground, closed=closed)
            if reason := every_command.why_lost(done, closed):
                losses.append(f"{name}, {what}: {reason}")
            print(f"{name}, {what}: {reason or 'survived'}", file=sys.stderr)
        note = f"{number} commands: {', '.join(every_command.CLOSED)}"
        tried = number * len(every_command.CLOSED)
        row = row_of("closed streams, deleted folder", tried, len(losses), note)
        yield row | {"note": "; ".join([note, *losses])}


def row_of(hazard: str, tried: int, lost: int, note: str) -> dict[str, Any]:
    """A row of the table."""
    return {"hazard": hazard, "tried": tried, "survived": tried - lost, "lost": lost, "note": note}


if __name__ == "__main__":
    sys.exit(main())
