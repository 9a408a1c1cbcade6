"""Two workers of one training on this machine, one of which is killed and started again.

    python tests/hazards/workers.py --out build/hazards/workers.json --rounds 4

A round kills one of the two by `kill -9`, with its child, at a random moment after the first
checkpoint. It survives if both end well and the weights are those of a training by one process, but
for the order of float32 sums.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from worker_processes import WORKERS, two_workers

from edge_melanoma.data.phantoms import write_phantoms
from edge_melanoma.machine.files import write_json
from edge_melanoma.network.network import read_safetensors
from edge_melanoma.runs.models import open_run

SECONDS = 400.0
LONGEST_WAIT = 15.0
TOLERANCE = 1e-5
EPOCHS = 300
PICTURES = 60


def main() -> int:
    """Run the rounds and write their row; exit code 1 if one was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/hazards/workers.json"))
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    losses, seconds = [], []
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        write_phantoms(folder / "data", count=PICTURES, seed=0)
        training: list[str | Path] = ["--data", folder / "data", "--cache-dir", folder / "cache"]
        training += ["--variant", "frozen", "--weights", "none", "--epochs", str(EPOCHS)]
        words = ["train", *map(str, training), "--out", str(folder / "one")]
        subprocess.run(
            [sys.executable, "-m", "edge_melanoma", *words], check=True, capture_output=True
        )
        for number in range(chosen.rounds):
            start = time.monotonic()
            reason = run_round(training, folder, number, random.Random(f"{chosen.seed} {number}"))
            seconds.append(time.monotonic() - start)
            print(f"round {number}: {reason or 'survived'}, {seconds[-1]:.0f} s", file=sys.stderr)
            if reason:
                losses.append(f"{number}: {reason}")
    note = f"kill -9 of either; {min(seconds):.0f} to {max(seconds):.0f} s a round"
    row = {
        "hazard": "A worker of two killed and started again in a training",
        "tried": chosen.rounds,
        "survived": chosen.rounds - len(losses),
        "lost": len(losses),
        "note": "; ".join([note, *losses]),
    }
    write_json(chosen.out, [row])
    return 1 if losses else 0


def run_round(
    training: list[str | Path], folder: Path, number: int, chance: random.Random
) -> str | None:
    """Why the round was lost, or none."""
    out = folder / f"two-{number}"
    with two_workers(training, out=out) as workers:
        try:
            workers.wait_for(out / "checkpoint.safetensors", SECONDS)
            time.sleep(chance.uniform(0, LONGEST_WAIT))
            workers.kill(chance.randrange(WORKERS))
            codes = workers.wait(SECONDS)
        except (TimeoutError, subprocess.TimeoutExpired):
            return "not ended in time"
        if any(codes):
            return f"ended with {codes}: {workers.said(0).splitlines()[-1]}"
    one, two = (read_safetensors(open_run(run)) for run in (folder / "one", out))
    apart = max(float(np.abs(one[name] - two[name]).max()) for name in one)
    return f"weights differ by {apart:.1e}" if apart > TOLERANCE else None


if __name__ == "__main__":
    sys.exit(main())
