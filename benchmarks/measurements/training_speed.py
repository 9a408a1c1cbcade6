"""What the activation cache saves: the same training with it and without, on real images.

    python benchmarks/measurements/training_speed.py --data DIR --weights FILE --out FILE

Each pair runs in two fresh processes one after the other, the cache empty at the start, so that its
filling is counted. CPU time of all threads is compared: a shared machine bends wall time.
"""

import argparse
import json
import os
import random
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from readme_tables import update_readme

from edge_melanoma.data.lesions import LesionRecord, read_lesions
from edge_melanoma.data.screening import screen_images
from edge_melanoma.data.splits import split_lesions
from edge_melanoma.machine.environment import describe_environment
from edge_melanoma.machine.files import read_json, write_json
from edge_melanoma.machine.markdown import table_of
from edge_melanoma.machine.processes import run_in_child
from edge_melanoma.network.recipes import Variant

KIBIBYTE = 1024
WAYS = {"plain": False, "cached": True}
COLUMNS = (
    "variant",
    "seed",
    "plain loop",
    "with cache",
    "ratio",
    "test recall plain",
    "with cache",
    "test AUC plain",
    "with cache",
)


def main() -> None:
    """Run the pairs, write the figures as JSON after each and print a line each."""
    options = _parse()
    records = draw_records(options.data, images=options.images)
    rows: list[dict[str, Any]] = []
    # The command line names folders of one machine; the way to run it stands above.
    environment = describe_environment()
    del environment["command"]
    for seed in range(options.seeds):
        for variant in options.variants:
            pair = {
                name: run_in_child(measure_training, records, variant, options.weights, seed, cache)
                for name, cache in WAYS.items()
            }
            ratio = pair["plain"]["cpu_seconds"] / pair["cached"]["cpu_seconds"]
            rows.append({"variant": variant, "seed": seed, "cpu_ratio": ratio, **pair})
            print(json.dumps(rows[-1]), flush=True)
            told = {"images": len(records), "load": os.getloadavg(), "rows": rows}
            write_json(options.out, told | {"environment": environment})
    if options.readme:
        update_readme(options.readme, name="speed", lines=render_ratios(read_json(options.out)))


def render_ratios(told: dict[str, Any]) -> list[str]:
    """The table of the pairs, as lines of Markdown."""
    environment = told["environment"]
    rows = [
        [
            row["variant"],
            str(row["seed"]),
            f"{row['plain']['cpu_seconds']:.0f} s",
            f"{row['cached']['cpu_seconds']:.0f} s",
            f"{row['cpu_ratio']:.1f}",
            *(f"{row[way][name]:.4f}" for name in ("recall", "auc") for way in WAYS),
        ]
        for row in sorted(told["rows"], key=lambda row: (row["variant"], row["seed"]))
    ]
    return [
        *table_of(COLUMNS, rows),
        "",
        f"{told['images']} real images, recipes as they are, {environment['cpu']}, "
        f"{environment['cores']} cores; CPU time of all threads, the filling of an empty cache "
        f"counted. Made by `python benchmarks/measurements/training_speed.py`.",
    ]


def draw_records(folder: Path, *, images: int) -> tuple[LesionRecord, ...]:
    """`images` pictures of a set, drawn once and for all."""
    records = list(screen_images(read_lesions(folder)).readable)
    return tuple(random.Random(0).sample(records, images))


def measure_training(
    records: tuple[LesionRecord, ...],
    variant: str,
    weights: str,
    seed: int,
    use_cache: bool,
    epochs: int | None = None,
) -> dict[str, float]:
    """Train once in this process; CPU and wall seconds, peak memory in bytes, test metrics."""
    from edge_melanoma.evaluation.metrics import measure
    from edge_melanoma.evaluation.predictions import predict
    from edge_melanoma.machine.terminal import SilentReporter
    from edge_melanoma.runtime.classifiers import KerasClassifier
    from edge_melanoma.training.material import TrainingSettings
    from edge_melanoma.training.training import train_network

    split = split_lesions(records, seed=seed)
    settings = TrainingSettings(
        variant=Variant(variant), weights=weights, seed=seed, use_cache=use_cache, epochs=epochs
    )
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        result = train_network(
            split,
            settings,
            run_folder=Path(folder),
            cache_folder=Path(folder),
            reporter=SilentReporter(),
        )
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    classifier = KerasClassifier(result.network)
    scores = predict(classifier, split.test, reporter=SilentReporter(), label="")
    metrics = measure(scores, threshold=0.5)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIBIBYTE
    return {"cpu_seconds": cpu, "seconds": wall, "peak_bytes": peak, **metrics.as_dict()}


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--readme", type=Path, help="Its part between the speed markers.")
    parser.add_argument("--variants", nargs="+", default=["frozen", "partial"])
    return parser.parse_args()


if __name__ == "__main__":
    main()
