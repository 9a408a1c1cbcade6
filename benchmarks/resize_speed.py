"""How long the resize takes, in CPU time, on photographs of phones and on small pictures.

    python -m edge_melanoma.benchmarks.resize_speed [--runs 20] [--readme benchmarks/README.md]

The goals: a picture of 3000x4000 in less than 150 ms, one of 300x300 in less than 3 ms.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

from edge_melanoma.benchmarks.readme import update_readme
from edge_melanoma.environment import cpu_name, package_version
from edge_melanoma.images import RESIZE_ID, resize_image
from edge_melanoma.markdown import table_of

GOALS_MS = {(3000, 4000): 150.0, (4000, 3000): 150.0, (300, 300): 3.0}
"""By height and width."""

WARM_UP = 2
COLUMNS = ("picture", "median CPU ms", "largest", "goal")


def main() -> None:
    """Print the times, and put them between the markers of the README that is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--readme", type=Path, help="Its part between the resize markers.")
    options = parser.parse_args()
    rows = []
    for (height, width), goal in GOALS_MS.items():
        times = time_resize(height, width, runs=options.runs)
        median, largest = statistics.median(times), max(times)
        rows.append([f"{width}x{height}", f"{median:.2f}", f"{largest:.2f}", f"below {goal:g}"])
    lines = [
        *table_of(COLUMNS, rows),
        "",
        f"`{RESIZE_ID}` of decoded RGB pixels to 224x224, {options.runs} runs after {WARM_UP}, one "
        f"thread, Pillow {package_version('pillow')}, {cpu_name()}. Made by "
        f"`python -m edge_melanoma.benchmarks.resize_speed --readme benchmarks/README.md`.",
    ]
    print("\n".join(lines))
    if options.readme:
        update_readme(options.readme, name="resize", lines=lines)


def time_resize(height: int, width: int, *, runs: int) -> list[float]:
    """CPU milliseconds of each run on noise, whose content the time does not depend on."""
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    times = []
    for _ in range(WARM_UP + runs):
        start = time.process_time()
        resize_image(pixels)
        times.append((time.process_time() - start) * 1000)
    return times[WARM_UP:]


if __name__ == "__main__":
    main()
