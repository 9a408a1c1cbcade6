"""How long the random variations of a batch of `best` take, in CPU time, here and in a checkout.

    python -m edge_melanoma.benchmarks.variation_speed --before CHECKOUT [--readme FILE]

Both take turns, each time in a new process, so that a busy machine slows both alike. This file runs
with the other checkout's package too: it uses nothing of it that is new.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from edge_melanoma.augmentation import augment_images
from edge_melanoma.benchmarks.readme import update_readme
from edge_melanoma.environment import cpu_name
from edge_melanoma.images import IMAGE_SIZE, scale_pixels
from edge_melanoma.markdown import table_of
from edge_melanoma.stages import Stage
from edge_melanoma.variants import BEST

WARM_UP, RUNS, ROUNDS = 2, 10, 5
PACKAGE = "edge_melanoma"
COLUMNS = ("stage", "before, ms", "now, ms", "ratio")


def main() -> None:
    """Print the times as a table, or those of this process alone as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--before", type=Path, help="A checkout of another version.")
    parser.add_argument("--readme", type=Path, help="Its part between the variation markers.")
    options = parser.parse_args()
    if options.before is None:
        print(json.dumps({stage.name: time_variation(stage) for stage in BEST.stages}))
        return
    if not (options.before / PACKAGE).is_dir():
        # Python would take the installed package instead, and compare it with itself.
        parser.error(f"--before {options.before} is no checkout: it holds no folder {PACKAGE}.")
    lines = [
        *table_of(COLUMNS, _compare(options.before)),
        "",
        f"CPU time of all threads for {BEST.batch_size} pictures, median of {ROUNDS} processes "
        f"with {RUNS} batches each, the ratio that of the pairs, {cpu_name()}. Made by `python -m "
        f"edge_melanoma.benchmarks.variation_speed --before CHECKOUT --readme "
        f"benchmarks/README.md`.",
    ]
    print("\n".join(lines))
    if options.readme:
        update_readme(options.readme, name="variation", lines=lines)


def _compare(checkout: Path) -> list[list[str]]:
    """A row a stage: the times of `checkout` and of this one, which take turns."""
    here = Path(__file__).resolve().parents[1]
    rounds = [(_measure(checkout), _measure(here)) for _ in range(ROUNDS)]
    rows = []
    for stage in BEST.stages:
        pairs = [(before[stage.name], now[stage.name]) for before, now in rounds]
        before, now = (statistics.median(times) for times in zip(*pairs, strict=True))
        ratio = statistics.median(first / second for first, second in pairs)
        rows.append([stage.name, f"{before:.0f}", f"{now:.0f}", f"{ratio:.2f}"])
    return rows


def time_variation(stage: Stage) -> float:
    """Median CPU milliseconds of varying a batch as the stage does, on noise.

    Raises:
        ValueError: the stage varies nothing.
    """
    from edge_melanoma.appearance import vary_appearance

    augmentation = stage.augmentation
    if augmentation is None or augmentation.appearance is None:
        raise ValueError(f"the stage {stage.name} varies no appearance")
    shape = (BEST.batch_size, IMAGE_SIZE, IMAGE_SIZE, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    times = []
    for epoch in range(WARM_UP + RUNS):
        seeds = np.array([[0, 0, epoch, position] for position in range(BEST.batch_size)])
        start = time.process_time()
        varied = augment_images(pixels, augmentation, seeds=seeds, size=stage.image_size)
        vary_appearance(scale_pixels(varied), augmentation.appearance, seeds=seeds)
        times.append((time.process_time() - start) * 1000)
    return statistics.median(times[WARM_UP:])


def _measure(checkout: Path) -> dict[str, float]:
    """The times of the code in `checkout`, measured by this file."""
    told = subprocess.run(
        [sys.executable, "-P", __file__],
        env=os.environ | {"PYTHONPATH": str(checkout.resolve())},
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    times: dict[str, float] = json.loads(told)
    return times


if __name__ == "__main__":
    main()
