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
PICTURES = 72
SOON_SECONDS = 30.0
LONGEST_SECONDS = 600.0
OLD = "what was there before\n"

COMMANDS = {
    "predict": ["predict", "bundled", "data", "--recursive", "--csv", "old.csv"],
    "evaluate": ["evaluate", "bundled", "--data", "data", "--json", "old.json"],
    "export": ["export", "run", "--quantize", "int8", "--calibration-images", "10", "--force"],
    "bench": ["bench", "run", "--runs", "4", "--warmup", "1"],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A command of which a process was killed, or none was left to kill, and how it ended.

    `seconds` are those after the kill, `lived` those from the first process below it to the last.
    """

    killed: bool
    code: int
    seconds: float
    lived: float
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
        rows: list[dict[str, Any]] = []
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        for command in chosen.commands:
            rows.append({})
            # After each round: whoever stops a long matrix keeps what was found.
            for rows[-1] in run_command(ground, command, rounds=chosen.rounds):
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


def run_command(ground: Path, name: str, *, rounds: int) -> Iterator[dict[str, Any]]:
    """The row of a command after each round."""
    chance, losses, ended = random.Random(name), [], []
    # It goes through once, and tells how long there are processes below it; so does a round in
    # which they were gone before the moment came, as the machine is quicker at times.
    whole, reason = run_round(ground, name, delay=LONGEST_SECONDS, chance=chance)
    shortest = whole.lived
    if reason:
        raise SystemExit(f"{name}, of which nothing was killed, was lost: {reason}")
    for number in range(rounds):
        delay = chance.uniform(0, shortest)
        one, reason = run_round(ground, name, delay=delay, chance=chance)
        ended.append(one)
        shortest = shortest if one.killed else min(shortest, one.lived)
        losses += [f"round {number}, after {delay:.2f} s: {reason}"] if reason else []
        print(f"{name}, round {number}: {reason or 'survived'}", file=sys.stderr)
        yield row_of(name, ended, losses)


def row_of(name: str, ended: list[Ended], losses: list[str]) -> dict[str, Any]:
    """The row of so many rounds."""
    killed = [one for one in ended if one.killed]
    told = [one for one in killed if one.code == 2]
    slowest = max((one.seconds for one in told), default=0.0)
    note = f"a process was there to kill in {len(killed)}; {len(told)} ended with a sentence, "
    note += f"at most {slowest:.1f} s later, the others did their work"
    return {
        "hazard": f"kill -9 of a process of {name}",
        "tried": len(ended),
        "survived": len(ended) - len(losses),
        "lost": len(losses),
        "note": "; ".join([note, *losses]),
    }


def run_round(
    ground: Path, name: str, *, delay: float, chance: random.Random
) -> tuple[Ended, str | None]:
    """A command in a place of its own, how it ended, and why it was lost, or none."""
    with tempfile.TemporaryDirectory(dir=ground.parent) as folder:
        place = Path(folder) / "ground"
        shutil.copytree(ground, place)
        for old in ("old.csv", "old.json"):
            (place / old).write_text(OLD)
        one = kill_one(COMMANDS[name], place, delay=delay, chance=chance)
        return one, why_lost(one, place)


def kill_one(command: list[str], place: Path, *, delay: float, chance: random.Random) -> Ended:
    """Run a command, and kill one of the processes below it.

    So late after the first of them began, or once there is one again.
    """
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [*CLI, *command], cwd=place, stdout=subprocess.DEVNULL, stderr=said
        )
        begun = time.monotonic()
        first, last, killed = None, begun, False
        while process.poll() is None and not killed and time.monotonic() < begun + LONGEST_SECONDS:
            if below := list(descendants(process.pid)):
                last = time.monotonic()
                first = first or last
                if last >= first + delay:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(chance.choice(below), signal.SIGKILL)
                        killed = True
            time.sleep(0.005)
        try:
            code = process.wait(LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        seconds, lived = time.monotonic() - last, last - (first or last)
        said.seek(0)
        return Ended(killed=killed, code=code, seconds=seconds, lived=lived, said=said.read())


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
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for word in (thread / "children").read_text().split():
                yield int(word)
                yield from descendants(int(word))


if __name__ == "__main__":
    sys.exit(main())
