"""Whole commands, each with one of its processes killed at a random moment.

    python tests/hazards/children.py --out build/hazards/children.json --rounds 20

A round survives if the command ends soon, either done or with exit code 2 and one sentence, every
file that was there before can still be read, and no half-written one is left.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from interruptions import broken_files

from edge_melanoma.data.phantoms import write_phantoms
from edge_melanoma.machine.files import UNFINISHED_PREFIX

CLI = [sys.executable, "-m", "edge_melanoma"]
PICTURES = 120
SOON_SECONDS = 30.0
LONGEST_SECONDS = 600.0
OLD = "what was there before\n"

COMMANDS = {
    "predict": ["predict", "bundled", "data", "--recursive", "--csv", "old.csv"],
    "evaluate": ["evaluate", "bundled", "--data", "data", "--json", "old.json"],
    "export": ["export", "run", "--quantize", "int8", "--calibration-images", "10", "--force"],
    "bench": ["bench", "run", "--runs", "20", "--warmup", "1"],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A command of which a process was killed, or none was left to kill, and how it ended."""

    killed: bool
    code: int
    seconds: float
    said: str


def main() -> int:
    """Try all and write a row a command; exit code 1 if something was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--commands", nargs="*", choices=list(COMMANDS), default=list(COMMANDS))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="children-") as name:
        ground = prepare(Path(name) / "ground", chosen.commands)
        rows = []
        for command in chosen.commands:
            rows.append(run_command(ground, command, rounds=chosen.rounds))
            chosen.out.parent.mkdir(parents=True, exist_ok=True)
            chosen.out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return int(any(row["lost"] for row in rows))


def prepare(ground: Path, commands: list[str]) -> Path:
    """Pictures, and a run with exports and a bench."""
    write_phantoms(ground / "data", count=PICTURES, seed=1, size=64)
    train = ["train", "--data", "data", "--variant", "frozen", "--weights", "none"]
    made = [[*train, "--epochs", "1", "--out", "run"], COMMANDS["export"], COMMANDS["bench"]]
    for command in made if {*commands} & {"export", "bench"} else []:
        done = subprocess.run([*CLI, *command], cwd=ground, capture_output=True, text=True)
        if done.returncode not in {0, 1}:
            raise SystemExit(f"{command[0]} failed, of which nothing was killed: {done.stderr}")
    return ground


def run_command(ground: Path, name: str, *, rounds: int) -> dict[str, Any]:
    """The row of a command."""
    chance, losses, ended, longest = random.Random(name), [], [], 1.0
    for number in range(-1, rounds):
        with tempfile.TemporaryDirectory(dir=ground.parent) as folder:
            place = Path(folder) / "ground"
            shutil.copytree(ground, place)
            for old in ("old.csv", "old.json"):
                (place / old).write_text(OLD)
            # The first goes through, and tells among which moments to choose.
            delay = chance.uniform(0, longest) if number >= 0 else LONGEST_SECONDS
            one = kill_one(COMMANDS[name], place, delay=delay, chance=chance)
            reason = why_lost(one, place)
        if number < 0:
            longest = one.seconds
            continue
        ended.append(one)
        losses += [f"round {number}, after {delay:.2f} s: {reason}"] if reason else []
        print(f"{name}, round {number}: {reason or 'survived'}", file=sys.stderr)
    told = [one for one in ended if one.killed and one.code == 2]
    slowest = max((one.seconds for one in told), default=0.0)
    note = f"a process was there to kill in {sum(one.killed for one in ended)}; {len(told)} ended "
    note += f"with a sentence, at most {slowest:.1f} s later, the others did their work"
    return {
        "hazard": f"kill -9 of a process of {name}",
        "tried": rounds,
        "survived": rounds - len(losses),
        "lost": len(losses),
        "note": "; ".join([note, *losses]),
    }


def kill_one(command: list[str], place: Path, *, delay: float, chance: random.Random) -> Ended:
    """Run a command, and kill one of the processes below it so late, or once there is one."""
    with tempfile.TemporaryFile("w+") as said:
        begun = time.monotonic()
        process = subprocess.Popen(
            [*CLI, *command], cwd=place, stdout=subprocess.DEVNULL, stderr=said
        )
        killed = False
        while process.poll() is None and not killed and time.monotonic() < begun + LONGEST_SECONDS:
            below = list(descendants(process.pid)) if time.monotonic() >= begun + delay else []
            if below:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chance.choice(below), signal.SIGKILL)
                    killed, begun = True, time.monotonic()
            time.sleep(0.005)
        try:
            code = process.wait(LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        seconds = time.monotonic() - begun
        said.seek(0)
        return Ended(killed=killed, code=code, seconds=seconds, said=said.read())


def why_lost(ended: Ended, place: Path) -> str | None:
    """What did not survive, or nothing."""
    lines = ended.said.strip().splitlines()
    last = lines[-1] if lines else ""
    if "Traceback" in ended.said or ended.code not in {0, 1, 2}:
        return f"ended with {ended.code}: {last}"
    if ended.code == 2 and not (ended.killed and last.startswith("edge-melanoma: ")):
        return f"exit code 2 with the words: {last}"
    if ended.code == 2 and ended.seconds > SOON_SECONDS:
        return f"ended {ended.seconds:.0f} s later"
    if broken := [*broken_files(place / "run")]:
        return f"half-written: {', '.join(broken)}"
    if left := [path.name for path in place.rglob(f"{UNFINISHED_PREFIX}*")]:
        return f"left {', '.join(left)}"
    if ended.code == 2 and any((place / old).read_text() != OLD for old in ("old.csv", "old.json")):
        return "an old result was changed"
    return None


def descendants(pid: int) -> Iterator[int]:
    """The processes below one."""
    above: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            above[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    for one in above:
        parents, at = set(), one
        while at in above and at not in parents:
            parents.add(at)
            at = above[at]
            if at == pid:
                yield one


if __name__ == "__main__":
    sys.exit(main())
