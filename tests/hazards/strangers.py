"""Files from strangers, dying children and hostile names: how many were tried, and what was lost.

    python tests/hazards/strangers.py --out build/hazards/strangers.json --rounds 20

Lost is a traceback, a command that does not end, or a terminal that is steered.
"""

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from test_hostile_names import NAMES, steers
from test_strangers_files import ODD, changed, places, read_export, read_run

from edge_melanoma.data.phantoms import write_phantoms
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.runs import bundled, models

CLI = [sys.executable, "-m", "edge_melanoma"]
MOMENTS = 12.0
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
        with patch.object(models, "verify_model"):  # its bytes are not what is changed
            rows = list(fields(folder, chosen.rounds))
        rows += [names(folder), *children(folder, chosen.rounds)]
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return int(any(row["lost"] for row in rows))


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


def children(folder: Path, rounds: int) -> Iterator[dict[str, Any]]:
    """`kill -9` of a child of each command at a random moment."""
    data, chance = folder / "phantoms", random.Random(1)
    write_phantoms(data, count=120, seed=1, size=None)
    commands = {
        "predict": ["predict", "bundled", "--recursive", str(data), "--json"],
        "evaluate": ["evaluate", "bundled", "--data", str(data), "--json"],
    }
    for name, command in commands.items():
        lost, hit, slowest = 0, 0, 0.0
        for _ in range(rounds):
            killed, code, seconds, error = kill_a_child(command, chance.uniform(0, MOMENTS))
            hit += killed
            slowest = max(slowest, seconds)
            lost += code not in ({2} if killed else {0}) or "Traceback" in error
        note = f"{hit} had a child to kill; ended at most {slowest:.0f} s after it"
        yield row_of(f"kill -9 of a child, {name}", rounds, lost, note)


def kill_a_child(command: list[str], delay: float) -> tuple[bool, int, float, str]:
    """Whether there was one, the exit code, the seconds until the end, and what was said."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen([*CLI, *command], stdout=subprocess.DEVNULL, stderr=said)
        end, killed = time.monotonic() + delay, False
        while process.poll() is None and not killed and time.monotonic() < end + LONGEST:
            # A scoring child is one that has the model's interpreter, or is about to load it.
            victims = scoring_children(process.pid) if time.monotonic() >= end else []
            for victim in victims[:1]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                    killed = True
            time.sleep(0.01)
        begun = time.monotonic()
        try:
            process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        said.seek(0)
        return killed, process.returncode, time.monotonic() - begun, said.read()


def scoring_children(pid: int) -> list[int]:
    """The processes below one that it has spawned to work, the youngest first."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            line = (entry / "cmdline").read_bytes()
            if parent == pid and b"spawn_main" in line and b"tracker" not in line:
                found.append(int(entry.name))
    return sorted(found, reverse=True)


def row_of(hazard: str, tried: int, lost: int, note: str) -> dict[str, Any]:
    """A row of the table."""
    return {"hazard": hazard, "tried": tried, "survived": tried - lost, "lost": lost, "note": note}


if __name__ == "__main__":
    sys.exit(main())
