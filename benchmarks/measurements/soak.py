"""A long run over generated pictures: do check, cache and score keep the memory they began with?

    python benchmarks/measurements/soak.py --images 100000 --folder DIR --keep FILE --page FILE

Each stage is a process of its own whose memory, that of its children added, is read every second.
The pictures are drawn into DIR/pictures where they are not there yet, and stay.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from readme import update_readme

from edge_melanoma.machine.environment import describe_environment
from edge_melanoma.machine.files import write_json
from edge_melanoma.machine.markdown import table_of
from edge_melanoma.machine.schemas import read_json
from edge_melanoma.runs.bundled import bundled_model

SIZE = 64
"""Side of the pictures in pixels: quick to draw, and all are 224 to the network."""

SECONDS_BETWEEN_READINGS = 1.0
MEGABYTE = 1e6
PARTS = 5
"""The readings of a stage in the order of time: the first part is its start."""

COLUMNS = (
    "stage",
    "images",
    "CPU",
    "memory after a fifth",
    "at the end",
    "peak",
    "growth a picture",
)
CACHE = (
    "from pathlib import Path; import sys; from soak import fill_cache; "
    "fill_cache(Path(sys.argv[1]), Path(sys.argv[2]))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endurance:
    """A stage that has ended: CPU seconds, and memory in MB early, late and at most."""

    stage: str
    images: int
    cpu_seconds: float
    early_mb: float
    late_mb: float
    peak_mb: float

    @property
    def bytes_a_picture(self) -> float:
        """What the second to the last fifth of the pictures have added, by the number of them."""
        return (self.late_mb - self.early_mb) * MEGABYTE / (self.images * (PARTS - 2) / PARTS)


def main() -> None:
    """Draw, run the stages, write the figures after each."""
    options = _parse()
    pictures = options.folder / "pictures"
    if not pictures.is_dir():
        arguments = ["data", "phantoms", str(pictures), "--count", str(options.images)]
        subprocess.run([*_command(), *arguments, "--size", str(SIZE)], check=True)
    images = sum(1 for path in pictures.glob("*/*") if path.is_file())
    rows: list[Endurance] = []
    environment = describe_environment()
    del environment["command"]
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        for stage, command in _stages(pictures, Path(place)).items():
            rows.append(run_stage(stage, command, images=images))
            told = {"schema": 1, "rows": [asdict(row) for row in rows], "environment": environment}
            write_json(options.keep, told)
            print("\n".join(render_endurance(told)), flush=True)
    if options.page:
        update_readme(options.page, name="soak", lines=render_endurance(read_json(options.keep)))


def run_stage(stage: str, command: Sequence[str], *, images: int) -> Endurance:
    """Run a command to its end; its output is thrown away.

    Raises:
        CalledProcessError: it failed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    readings: list[float] = []
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        readings.append(memory_of_tree(process.pid) / MEGABYTE)
        time.sleep(SECONDS_BETWEEN_READINGS)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    part = max(1, len(readings) // PARTS)
    return Endurance(
        stage=stage,
        images=images,
        cpu_seconds=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        early_mb=statistics.median(readings[part : 2 * part] or readings),
        late_mb=statistics.median(readings[-part:]),
        peak_mb=max(readings),
    )


def memory_of_tree(pid: int) -> int:
    """Bytes of memory that a process and its descendants hold; shared pages are counted by shares.

    Read from /proc, so on Linux alone. A process that ends meanwhile counts as nothing.
    """
    total = 0
    for member in _descendants(pid):
        try:
            lines = Path(f"/proc/{member}/smaps_rollup").read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def fill_cache(pictures: Path, folder: Path) -> None:
    """Activations of all pictures at the end of a frozen backbone."""
    from edge_melanoma.data.listing import read_lesions
    from edge_melanoma.data.screening import screen_images
    from edge_melanoma.machine.terminal import TerminalReporter
    from edge_melanoma.network.network import GAP_LAYER, build_network
    from edge_melanoma.network.recipes import VARIANTS, Variant
    from edge_melanoma.training.activations import FrozenPrefix, cache_activations

    reporter = TerminalReporter()
    prefix = FrozenPrefix(build_network(VARIANTS[Variant.FROZEN]), cut=GAP_LAYER)
    records = screen_images(read_lesions(pictures), reporter=reporter).readable
    cache_activations(prefix, records, cache_folder=folder, reporter=reporter)


def render_endurance(told: dict[str, Any]) -> list[str]:
    """The table of the stages, as lines of Markdown."""
    stages = [Endurance(**row) for row in told["rows"]]
    rows = [
        [
            one.stage,
            f"{one.images:,}",
            f"{one.cpu_seconds / 60:.1f} min",
            *(f"{size:.0f} MB" for size in (one.early_mb, one.late_mb, one.peak_mb)),
            f"{one.bytes_a_picture:.0f} bytes" if one.late_mb > one.early_mb else "none",
        ]
        for one in stages
    ]
    environment = told["environment"]
    return [
        *table_of(COLUMNS, rows),
        "",
        f"Generated pictures of {SIZE}x{SIZE}; {environment['cpu']}, {environment['cores']} cores. "
        f"Memory is that of the process and its children; the first fifth of the time, in which "
        f"programs are loaded, is not counted. Made by `python benchmarks/measurements/soak.py`.",
    ]


def _stages(pictures: Path, place: Path) -> dict[str, list[str]]:
    model = place / "model_int8.tflite"
    shutil.copy(bundled_model(), model)
    return {
        "score (`evaluate`, int8)": [*_command(), "evaluate", str(model), "--data", str(pictures)],
        "cache (frozen backbone)": [sys.executable, "-c", CACHE, str(pictures), str(place)],
        "check (`data check`)": [*_command(), "data", "check", str(pictures), "--no-cache"],
    }


def _command() -> list[str]:
    return [sys.executable, "-m", "edge_melanoma"]


def _descendants(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text(encoding="ascii").split()
        except OSError:
            continue
        for child in children:
            yield from _descendants(int(child))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, required=True, help="10 GB free for 100,000.")
    parser.add_argument("--keep", type=Path, required=True, help="The figures, as JSON.")
    parser.add_argument("--page", type=Path, help="Its part between the soak markers.")
    return parser.parse_args()


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
