"""Commands killed at random moments of eight stages, and what gone on with them gives.

    python tests/hazards/interruptions.py --out build/hazards/interruptions.json --rounds 20

A round stops one command once, by `kill -9`, SIGINT, SIGTERM or a full disk, then gives the
command again (`train` with --resume). It survives if all files of earlier work are as they were,
every file with a final name is whole, and the result has the same bytes as that of a straight run.
Commands run with --deterministic in processes forked from this one, which has TensorFlow loaded:
what export does in a child process is done in them. The full disk is a tmpfs and needs root.
"""

import argparse
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
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from interrupted_commands import POINTS, Point, hash_results, run_forked

from edge_melanoma.data.phantoms import write_phantoms

WAYS = ("kill -9", "SIGINT", "SIGTERM", "full disk")
SIGNALS = {"kill -9": signal.SIGKILL, "SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM}
DISK_MEGABYTES = 96
LONGEST_SECONDS = 300.0
PICTURES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all rounds share: the pictures, a finished run, and the results of straight commands."""

    folder: Path
    expected: dict[str, dict[str, str]]


def main() -> int:
    """Run the matrix and write its rows; exit code 1 if a round was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/hazards/interruptions.json"))
    parser.add_argument("--rounds", type=int, default=20, help="of each way at each point")
    parser.add_argument("--points", nargs="*", choices=sorted(POINTS), default=list(POINTS))
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=list(WAYS))
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    import edge_melanoma.machine.tensorflow  # noqa: F401  (once for all forks)

    with tempfile.TemporaryDirectory(prefix="interruptions-") as name, small_disk() as disk:
        ground = prepare(Path(name), {POINTS[point].command for point in chosen.points})
        rows: list[dict[str, object]] = []
        for point in chosen.points:
            rows.append(
                run_point(
                    ground,
                    point,
                    chosen.ways,
                    rounds=chosen.rounds,
                    disk=disk,
                    seed=chosen.seed,
                )
            )
            # After each: whoever stops a long matrix keeps what was found.
            chosen.out.parent.mkdir(parents=True, exist_ok=True)
            chosen.out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return int(any(row["lost"] for row in rows))


@contextmanager
def small_disk() -> Iterator[Path | None]:
    """A mounted tmpfs of `DISK_MEGABYTES`, or none where mounting is not allowed."""
    with tempfile.TemporaryDirectory(prefix="small-disk-") as name:
        options = ["-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs", name]
        mounted = subprocess.run(["mount", *options], check=False, capture_output=True)
        if mounted.returncode != 0:
            yield None
            return
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


def prepare(folder: Path, commands: set[str]) -> Ground:
    """Pictures, a finished run with an export, and each command's straight result."""
    write_phantoms(folder / "data", count=PICTURES, seed=1, size=64)
    place = folder / "straight"
    place.mkdir()
    expected: dict[str, dict[str, str]] = {}
    for command in ("train", "export", "bench", "export-qat"):
        if command not in {"train", *commands} and not (
            command == "export" and "bench" in commands
        ):
            continue
        if command != "train":
            shutil.copytree(folder / "straight" / "run", folder / f"base-{command}")
        ended = run_forked(command, folder / "data", place, timeout=LONGEST_SECONDS)
        if ended.code != 0:
            raise SystemExit(f"{command} failed, which nobody stopped: {ended.last_line}")
        expected[command] = hash_results(command, place / "run")
    return Ground(folder=folder, expected=expected)


def run_point(
    ground: Ground, name: str, ways: list[str], *, rounds: int, disk: Path | None, seed: int
) -> dict[str, object]:
    """The row of one point."""
    point, losses, counts, stopped = POINTS[name], [], dict.fromkeys(ways, 0), 0
    for way in ways:
        if way == "full disk" and disk is None:
            continue
        for number in range(rounds):
            chance = random.Random(f"{seed} {name} {way} {number}")
            with tempfile.TemporaryDirectory(dir=disk if way == "full disk" else None) as place:
                reason, was_stopped = run_round(ground, point, way, Path(place), chance)
            counts[way] += 1
            stopped += was_stopped
            if reason:
                losses.append(f"{way} {number}: {reason}")
            print(f"{name}, {way}, round {number}: {reason or 'survived'}", file=sys.stderr)
    tried = sum(counts.values())
    told = ", ".join(f"{count} by {way}" for way, count in counts.items())
    note = f"{told}; {stopped} ended before their work was done"
    if disk is None and "full disk" in ways:
        note += "; full disk left out, as mounting is not allowed here"
    return {
        "hazard": f"Interrupted: {name}",
        "tried": tried,
        "survived": tried - len(losses),
        "lost": len(losses),
        "note": "; ".join([note, *losses]),
    }


def run_round(
    ground: Ground, point: Point, way: str, place: Path, chance: random.Random
) -> tuple[str | None, bool]:
    """Why the round was lost, or none; and whether the command was stopped before its end."""
    base = ground.folder / f"base-{point.command}"
    if base.is_dir():
        shutil.copytree(base, place / "run")
    before = {path: path.read_bytes() for path in (place / "run").rglob("*") if path.is_file()}
    delay = chance.uniform(0, point.longest_seconds)
    filler = place / "filler"

    def stop(pid: int) -> None:
        time.sleep(delay)
        if way == "full disk":
            fill(filler)
        else:
            os.kill(pid, SIGNALS[way])

    first = run_forked(
        point.command,
        ground.folder / "data",
        place,
        point=point,
        stop=stop,
        timeout=LONGEST_SECONDS,
    )
    filler.unlink(missing_ok=True)
    allowed = {"kill -9": {0, -9}, "full disk": {0, 2}}.get(way, {0, 130})
    if first.code not in allowed:
        return f"ended with {first.code}: {first.last_line}", True
    if harmed := [path.name for path, data in before.items() if path.read_bytes() != data]:
        return f"changed {', '.join(harmed)}", True
    if broken := list(broken_files(place / "run")):
        return f"half-written: {', '.join(broken)}", True
    again = run_forked(
        point.command, ground.folder / "data", place, resume=True, timeout=LONGEST_SECONDS
    )
    if again.code != 0:
        return f"the command after it ended with {again.code}: {again.last_line}", True
    if hash_results(point.command, place / "run") != ground.expected[point.command]:
        return "other bytes than a straight run", True
    return None, first.code != 0


def fill(filler: Path) -> None:
    """Take all room that is left."""
    with filler.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(65536))
        except OSError:
            pass


def broken_files(run: Path) -> Iterator[str]:
    """Files with a final name that cannot be read as what they are."""
    from safetensors import SafetensorError, safe_open

    from edge_melanoma.errors import EdgeMelanomaError
    from edge_melanoma.runs.converted import open_converted

    for path in run.rglob("*"):
        try:
            if path.suffix == ".json":
                json.loads(path.read_text(encoding="utf-8"))
            elif path.suffix == ".safetensors":
                with safe_open(path, framework="numpy") as file:
                    file.keys()
            elif path.suffix == ".tflite":
                open_converted(path)
        except (ValueError, SafetensorError, EdgeMelanomaError) as error:
            yield f"{path.name} ({error})"


if __name__ == "__main__":
    sys.exit(main())
