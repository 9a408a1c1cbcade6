"""What decoding the pictures once saves: a bench's scoring as it is, and with each model decoding.

    python -m edge_melanoma.benchmarks.scoring_speed RUN [--data DIR] [--limit 2000] [--rounds 3]

Scores the same pictures in turn by both ways, processes started and ended in each; prints CPU
seconds of all processes and wall seconds, and the ratio of the two ways. The goal: 2,000 pictures,
Keras and five files, in at most 90 s on 2 cores.
"""

import argparse
import json
import os
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from edge_melanoma.artifacts import ConvertedModel, TrainedModel, open_converted, open_run
from edge_melanoma.atomic_writing import write_json
from edge_melanoma.benchmarks.scoring import Scoring
from edge_melanoma.child_process import run_in_child
from edge_melanoma.classifiers import KerasClassifier, TFLiteClassifier, choose_runtime
from edge_melanoma.environment import cpu_name
from edge_melanoma.lesions import LesionRecord, read_lesions
from edge_melanoma.predictions import predict
from edge_melanoma.progress import SilentReporter
from edge_melanoma.run_data import read_test_side
from edge_melanoma.runtimes import Runtime

Records = tuple[LesionRecord, ...]


def main() -> None:
    """Measure both ways in turn, print each and the median ratios."""
    options = _parse()
    records = _records(options.run, options.data, options.limit)
    runtime = choose_runtime(None)
    rows = []
    for _ in range(options.rounds):
        row = {
            name: run_in_child(_measure, way, options.run, options.modes, records, runtime)
            for name, way in (("each model decodes", score_apart), ("decoded once", score_together))
        }
        rows.append(row)
        print(json.dumps(row), flush=True)
    ratios = {
        unit: statistics.median(
            row["decoded once"][unit] / row["each model decodes"][unit] for row in rows
        )
        for unit in ("cpu_seconds", "seconds")
    }
    told = {"images": len(records), "modes": options.modes, "cpu": cpu_name()}
    told |= {"cores": os.cpu_count(), "load": os.getloadavg()[0], "median_ratios": ratios}
    print(json.dumps(told))
    if options.out:
        write_json(options.out, told | {"rows": rows})


def score_apart(folder: Path, modes: Sequence[str], records: Records, runtime: Runtime) -> None:
    """Every model decodes every picture, in processes of its own."""
    from edge_melanoma.network import load_network

    run, reporter = open_run(folder), SilentReporter()
    predict(KerasClassifier(load_network(run)), records, reporter=reporter, label="")
    for model in _open(run, modes):
        with TFLiteClassifier(model.data, name=model.path.name, runtime=runtime) as classifier:
            predict(classifier, records, reporter=reporter, label="")


def score_together(folder: Path, modes: Sequence[str], records: Records, runtime: Runtime) -> None:
    """As `bench` does."""
    run = open_run(folder)
    scoring = Scoring(
        run=run, runtime=runtime, records=records, is_test_side=False, reporter=SilentReporter()
    )
    scoring.score(_open(run, modes))


def _measure(
    way: Callable[[Path, Sequence[str], Records, Runtime], None],
    folder: Path,
    modes: Sequence[str],
    records: Records,
    runtime: Runtime,
) -> dict[str, float]:
    """Seconds of this process and its children, by the clock and on the processor."""
    start, before = time.perf_counter(), _cpu_seconds()
    way(folder, modes, records, runtime)
    return {"seconds": time.perf_counter() - start, "cpu_seconds": _cpu_seconds() - before}


def _cpu_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _open(run: TrainedModel, modes: Sequence[str]) -> list[ConvertedModel]:
    return [open_converted(run.exports_folder / f"model_{mode}.tflite") for mode in modes]


def _records(folder: Path, data: Path | None, limit: int) -> Records:
    records = read_lesions(data) if data else read_test_side(open_run(folder))
    step = max(1, len(records) // limit)
    return records[::step][:limit]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, help="Other pictures than the run's test side.")
    parser.add_argument("--limit", type=int, default=2000)
    parser.add_argument("--modes", nargs="+", default=["float32", "float16", "dynamic", "int8"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
