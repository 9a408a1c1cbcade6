"""How near the scoring of files comes to the network's own time, on all cores.

    python -m edge_melanoma.benchmarks.scoring_speed RUN [--mode int8] [--rounds 3]

Scores the run's test images as `bench` does (decode, resize, invoke, in a child process a core, all
started before) and times the bare invocations of the same model on one thread, in turn. The goal is
a ratio of at most 1.3 to the invocations divided by the cores.
"""

import argparse
import os
import statistics
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from edge_melanoma.artifacts import open_converted, open_run
from edge_melanoma.benchmarks.latency import time_tflite
from edge_melanoma.classifiers import TFLiteClassifier, choose_runtime
from edge_melanoma.environment import cpu_name
from edge_melanoma.images import read_image
from edge_melanoma.interpreters import SessionSettings
from edge_melanoma.run_data import read_test_side

TIMED_INVOCATIONS = 400
WARMUP_IMAGES = 400
"""Enough for every child to have started and loaded the model."""


def main() -> None:
    """Measure in turn and print the medians and their ratio."""
    options = _parse()
    run = open_run(options.run)
    model = open_converted(run.exports_folder / f"model_{options.mode}.tflite")
    paths = [record.path for record in read_test_side(run)]
    runtime = choose_runtime(None)
    settings = SessionSettings(data=model.data, name=model.path.name, runtime=runtime)
    cores = os.cpu_count() or 1
    ratios = []
    for _ in range(options.rounds):
        samples = time_tflite(
            settings, read_image(paths[0]), runs=TIMED_INVOCATIONS, warmup=TIMED_INVOCATIONS // 10
        )
        invoke_seconds = samples.percentile_ms(50) / 1000
        with TFLiteClassifier(model.data, name=model.path.name, runtime=runtime) as classifier:
            _score(classifier, paths[:WARMUP_IMAGES])
            seconds = _score(classifier, paths)
        pure = len(paths) * invoke_seconds / cores
        ratios.append(seconds / pure)
        print(
            f"{len(paths)} images in {seconds:.2f} s; invocations alone {pure:.2f} s "
            f"({invoke_seconds * 1000:.2f} ms each on {cores} cores); ratio {ratios[-1]:.2f}"
        )
    print(
        f"{model.path} ({model.sha256[:12]}), {cpu_name()}, load {os.getloadavg()[0]:.1f}: "
        f"median ratio {statistics.median(ratios):.2f} of {options.rounds}, goal 1.3"
    )


def _score(classifier: TFLiteClassifier, paths: Sequence[Path]) -> float:
    """Wall seconds for all of `paths`."""
    start = time.perf_counter()
    deque(classifier.stream_scores(paths), maxlen=0)
    return time.perf_counter() - start


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path)
    parser.add_argument("--mode", default="int8")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
