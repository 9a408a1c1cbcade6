"""Every command of the command line once, and the ground on which all of them can run."""

import json
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from edge_melanoma.data.phantoms import write_phantoms
from edge_melanoma.runs.bundled import bundled_model
from edge_melanoma.runs.converted import open_converted

CLI = (sys.executable, "-m", "edge_melanoma")
PICTURES = 66
LONGEST_SECONDS = 600.0
TRAIN = "train --data data --variant frozen --weights none --epochs 1"
SAVE_KERAS = """
from pathlib import Path
from edge_melanoma.network.network import load_network
from edge_melanoma.runs.models import open_run
load_network(open_run(Path("run"))).save("network.h5")
"""

ALL = MappingProxyType(
    {
        "inspect": "inspect bundled",
        "android": "android run --out new",
        "web": "web run --out new",
        "evaluate": "evaluate bundled --data data",
        "predict": "predict bundled data --recursive",
        "commission": "commission bundled --data data --out new",
        "drift": "drift counts.json bundled",
        "verify": "verify bundled",
        "doctor": "doctor",
        "data check": "data check data",
        "data phantoms": "data phantoms new --count 4",
        "cache clear": "cache clear",
        "train": f"{TRAIN} --out new",
        "import": "import network.h5 --data data --out new --input-range 0..1",
        "threshold": "threshold run --min-recall 0.9",
        "calibrate": "calibrate run --out new",
        "export": "export run --quantize int8 --calibration-images 10 --force",
        "bench": "bench run --runs 2 --warmup 1",
        "report": "report run --out new.html",
        "card": "card run",
        "demo": "demo --out new --count 60 --weights none",
    }
)
ELSEWHERE = frozenset({"data fetch"})
"""What asks another machine is left out."""
COSTLY = frozenset({"train", "import", "calibrate", "export", "bench", "card", "demo"})
"""What takes a minute and more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """What the shell does to a command, and the exit code that tells of it."""

    before: str = ""
    after: str = ""
    code: int = 0


AS_IT_IS = Closed()
READER_GONE, CANNOT_BE_USED = 141, 2
CLOSED = MappingProxyType(
    {
        "stdin and stdout": Closed(after="<&- >&-", code=READER_GONE),
        "stderr, and a reader that goes": Closed(
            after="2>&- | true; exit ${PIPESTATUS[0]}", code=READER_GONE
        ),
        "the working folder": Closed(
            before="mkdir gone && cd gone && rmdir ../gone;", code=CANNOT_BE_USED
        ),
    }
)
"""All of them print something, which has no reader then."""


def by_cost(commands: Iterable[str]) -> list[Any]:
    """Parameters of a test: `make thorough` tries the quick commands, `-m slow` the others."""
    marks = {True: pytest.mark.slow, False: pytest.mark.thorough}
    return [pytest.param(name, marks=marks[name in COSTLY]) for name in commands]


def names_of(command: Any, above: tuple[str, ...] = ()) -> Iterator[str]:
    """The commands below one, as they are written on the command line."""
    below = getattr(command, "commands", None)
    if below is None:
        yield " ".join(above)
        return
    for name, one in below.items():
        yield from names_of(one, (*above, name))


def prepare(ground: Path) -> Path:
    """Pictures, counts of many more, and a run with an export and a bench, as Keras has it too."""
    write_phantoms(ground / "data", count=PICTURES, seed=1, size=64)
    write_counts(ground / "counts.json")
    for command in (f"{TRAIN} --out run", ALL["export"], ALL["bench"]):
        done = run(command, ground)
        if done.returncode not in {0, 1}:
            raise SystemExit(f"{command}, of which nothing was disturbed, failed: {done.stderr}")
    subprocess.run([sys.executable, "-c", SAVE_KERAS], cwd=ground, check=True)
    return ground


def write_counts(path: Path) -> None:
    """Of as many pictures as one clinic of validation has."""
    block = open_converted(bundled_model()).counts
    group = block["groups"]["HAM"]["counts"]
    told = {"schema": 1, "reference": block["reference"], "counts": group}
    path.write_text(json.dumps(told | {"pictures": sum(group["gate"])}), encoding="utf-8")


def run(command: str, place: Path, closed: Closed = AS_IT_IS) -> subprocess.CompletedProcess[str]:
    """A command by the shell in `place`, where its cache stands too."""
    cache = f"export XDG_CACHE_HOME={place / 'cache'}"
    line = f"{cache}; {closed.before} {shlex.join(CLI)} {command} {closed.after}"
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, cwd=place, timeout=LONGEST_SECONDS
    )


def run_apart(
    command: str, ground: Path, *, closed: Closed = AS_IT_IS
) -> subprocess.CompletedProcess[str]:
    """The same in a ground of its own, which it may change."""
    with tempfile.TemporaryDirectory() as folder:
        return run(command, shutil.copytree(ground, Path(folder) / "ground"), closed)


def why_lost(done: subprocess.CompletedProcess[str], closed: Closed) -> str | None:
    """What it should not have done, or nothing."""
    if "Traceback" in done.stderr or done.returncode != closed.code:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        return f"ended with {done.returncode} and not {closed.code}: {last}"
    return None
