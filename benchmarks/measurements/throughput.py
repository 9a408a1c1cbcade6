"""Pictures a second and core for decoding, caching, training and scoring; what a million cost.

    python benchmarks/measurements/throughput.py steps --data DIR --keep FILE --page FILE
    python benchmarks/measurements/throughput.py cache --data DIR --weights FILE --keep FILE

CPU time of all threads is compared, so that neighbours on the machine and the number of its cores
do not enter. `steps` times each step after it has run once, a million pictures being what they cost
by multiplication; the model that scores is the one in the package, and trainings start from random
weights, which cost what others cost. `cache` trains with the activation cache and without, in two
fresh processes one after the other, the filling of an empty cache counted.
"""

import argparse
import itertools
import json
import os
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from readme import update_readme

from edge_melanoma.data.images import decode_image, read_image, read_image_bytes, resize_image
from edge_melanoma.data.lesions import LesionRecord, spread
from edge_melanoma.data.listing import read_lesions
from edge_melanoma.data.screening import screen_images
from edge_melanoma.data.splits import DatasetSplit, SplitKind, split_lesions
from edge_melanoma.evaluation.metrics import measure
from edge_melanoma.evaluation.predictions import predict
from edge_melanoma.machine.environment import describe_environment
from edge_melanoma.machine.files import write_json
from edge_melanoma.machine.markdown import table_of
from edge_melanoma.machine.processes import run_in_child
from edge_melanoma.machine.schemas import read_json
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.network.network import GAP_LAYER, build_network, load_network
from edge_melanoma.network.recipes import VARIANTS, Stage, Variant
from edge_melanoma.runs.bundled import bundled_model, bundled_run
from edge_melanoma.runs.converted import open_converted
from edge_melanoma.runtime.classifiers import KerasClassifier
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.runtime.trial import choose_runtime
from edge_melanoma.training import activations
from edge_melanoma.training.checkpoints import TrainingState
from edge_melanoma.training.fit import fit_stage
from edge_melanoma.training.material import TrainingSettings
from edge_melanoma.training.trainee import TraineeMaker
from edge_melanoma.training.training import train_network

MILLION = 1_000_000
SECONDS_AN_HOUR = 3600
HELD_OUT = 4
"""Pictures of each class on the validation and on the test side: few, as only training is timed."""

TRAINED = (
    (Variant.FROZEN, 0, "train `frozen`, an epoch on kept activations"),
    (Variant.PARTIAL, 1, "train the last 30 layers (`partial`), an epoch on kept activations"),
    (Variant.BEST, 0, "train `best` at 160 pixels, an epoch on kept pixels"),
    (Variant.BEST, 1, "train `best` at 224 pixels, an epoch on kept pixels"),
)
RESIZE = "resize its decoded pixels alone"
COLUMNS = ("step", "pictures a second and core", "a million: core hours", "and on disk")


Rate = dict[str, Any]
"""What a `step` takes of one core for a picture, `cpu_ms`, and `bytes_kept` of it on disk."""


def main() -> None:
    """Measure what is asked for, write the figures, and show the table."""
    options = _parse()
    # The command line names folders of one machine; the way to run it stands above.
    environment = describe_environment()
    del environment["command"]
    for told in options.measure(options):
        write_json(options.keep, {"schema": 1, **told, "environment": environment})
    lines = options.render(read_json(options.keep))
    print("\n".join(lines))
    if options.page:
        update_readme(options.page, name=options.part, lines=lines)


def time_steps(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The figures of all steps."""
    records = screen_images(spread(read_lesions(options.data), limit=options.images)).readable
    with tempfile.TemporaryDirectory() as place:
        rates = list(measure_rates(records, Path(place)))
    yield {
        "dataset": options.data.name,
        "images": len(records),
        "file_bytes": round(np.mean([r.path.stat().st_size for r in records])),
        "rows": rates,
    }


def measure_rates(records: Sequence[LesionRecord], place: Path) -> Iterator[Rate]:
    """All steps; `place` is an empty folder for caches."""
    images = np.stack([read_image(record.path) for record in records])
    photograph, paths = place / "photograph.jpg", [record.path for record in records]
    yield _rate("read, decode, resize", len(paths), lambda: [*map(read_image, paths)])
    Image.fromarray(images[0]).resize((4000, 3000)).save(photograph, quality=90)
    name = "the same of a JPEG of 4000x3000"
    yield _rate(name, 4, lambda: [read_image(photograph) for _ in range(4)])
    large = decode_image(read_image_bytes(photograph), name="photograph.jpg")
    yield _rate(RESIZE, 4, lambda: [resize_image(large) for _ in range(4)])
    pixels = activations.DecodedPictures()
    yield _cache_rate("keep the pixels (decoding included)", pixels, records, place / "pixels")
    network = build_network(VARIANTS[Variant.FROZEN])
    prefix = activations.FrozenPrefix(network, cut=GAP_LAYER)
    prefix(images[:1].astype(np.float32))  # So that its conversion is not counted.
    name = "keep the activations of a frozen backbone (decoding included)"
    yield _cache_rate(name, prefix, records, place / "frozen")
    split = _split(records)
    for variant, number, step in TRAINED:
        cpu_ms = _epoch_cpu_ms(split, variant, number, place / "train")
        yield {"step": step, "cpu_ms": cpu_ms, "bytes_kept": None}
    converted = open_converted(bundled_model())
    session = TFLiteSession(
        SessionSettings(data=converted.data, name=converted.path.name, runtime=choose_runtime(None))
    )
    name = "score by the int8 file, one thread"
    yield _rate(name, len(images), lambda: [*map(session.score, images)])
    keras = KerasClassifier(load_network(bundled_run()))
    yield _rate("score by Keras, float32", len(images), lambda: keras.malignant_scores(images))


def render_rates(told: dict[str, Any]) -> list[str]:
    """The table as lines of Markdown, and what it was measured on."""
    rows, hours_of = [], {}
    for rate in told["rows"]:
        step, kept = rate["step"], rate["bytes_kept"]
        hours_of[step] = rate["cpu_ms"] / 1000 * MILLION / SECONDS_AN_HOUR
        disk = "" if kept is None else f"{kept * MILLION / 1e9:.1f} GB"
        rows.append([step, f"{1000 / rate['cpu_ms']:,.0f}", f"{hours_of[step]:.2f}", disk])
    best = [
        (VARIANTS[variant].stages[number], hours_of[step])
        for variant, number, step in TRAINED
        if variant is Variant.BEST
    ]
    epochs = " and ".join(f"{stage.epochs} at {stage.image_size} pixels" for stage, _ in best)
    environment = told["environment"]
    return [
        *table_of(COLUMNS, rows),
        "",
        f"All epochs of `best` ({epochs}) over a million pictures: "
        f"{sum(stage.epochs * hours for stage, hours in best):.0f} core hours.",
        "",
        f"{told['images']} pictures of {told['dataset']}, of {told['file_bytes'] / 1000:.1f} kB; "
        f"CPU time on {environment['cpu']}. Made by "
        f"`python benchmarks/measurements/throughput.py steps`.",
    ]


def _rate(
    step: str, images: int, work: Callable[[], object], *, bytes_kept: int | None = None
) -> Rate:
    work()
    start = time.process_time()
    work()
    cpu_ms = (time.process_time() - start) * 1000 / images
    return {"step": step, "cpu_ms": cpu_ms, "bytes_kept": bytes_kept}


def _cache_rate(
    step: str, prefix: activations.Prefix, records: Sequence[LesionRecord], folder: Path
) -> Rate:
    def fill() -> None:
        # Each time a new folder: what is kept is not computed again.
        with tempfile.TemporaryDirectory(dir=folder) as fresh:
            activations.cache_activations(
                prefix, records, cache_folder=Path(fresh), reporter=SilentReporter()
            )

    folder.mkdir()
    size = prefix.dtype.itemsize * int(np.prod(prefix.shape))
    return _rate(step, len(records), fill, bytes_kept=size)


def _split(records: Sequence[LesionRecord]) -> DatasetSplit:
    classes = [[r for r in records if r.is_malignant is malignant] for malignant in (False, True)]
    bounds = {"validation": (0, HELD_OUT), "test": (HELD_OUT, 2 * HELD_OUT)}
    sides = {
        side: tuple(record for members in classes for record in members[start:end])
        for side, (start, end) in {**bounds, "train": (2 * HELD_OUT, None)}.items()
    }
    train, validation, test = (sides[side] for side in ("train", "validation", "test"))
    return DatasetSplit(
        train=train, validation=validation, test=test, kind=SplitKind.POOLED, seed=0
    )


def _epoch_cpu_ms(split: DatasetSplit, variant: Variant, number: int, cache_folder: Path) -> float:
    """CPU time a training picture in the second epoch, when all is kept and compiled."""
    spec = VARIANTS[variant]
    stage: Stage = replace(spec.stages[number], epochs=2, patience=None)
    network = build_network(spec, image_size=stage.image_size)
    settings = TrainingSettings(variant=variant, weights="none")
    maker = TraineeMaker(split, settings, cache_folder, SilentReporter())
    trainee = maker.trainee(network, stage, number=number)
    ends: list[float] = []
    fit_stage(
        trainee,
        state=TrainingState(settings=""),
        on_epoch=lambda: ends.append(time.process_time()),
        reporter=SilentReporter(),
    )
    return (ends[1] - ends[0]) * 1000 / len(split.train)


WAYS = {"plain": False, "cached": True}
CPU_COLUMNS = ("variant", "seed", "plain loop", "with cache", "ratio")
CACHE_COLUMNS = (*CPU_COLUMNS, "test recall plain", "with cache", "test AUC plain", "with cache")


def time_cache(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The figures of trainings with the cache and without, after each pair anew."""
    readable = list(screen_images(read_lesions(options.data)).readable)
    records = tuple(random.Random(0).sample(readable, options.images))
    rows: list[dict[str, Any]] = []
    for seed, variant in itertools.product(range(options.seeds), options.variants):
        pair = {
            name: run_in_child(measure_training, records, variant, options.weights, seed, cache)
            for name, cache in WAYS.items()
        }
        ratio = pair["plain"]["cpu_seconds"] / pair["cached"]["cpu_seconds"]
        rows.append({"variant": variant, "seed": seed, "cpu_ratio": ratio, **pair})
        print(json.dumps(rows[-1]), flush=True)
        yield {"images": len(records), "load": os.getloadavg(), "rows": rows}


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
        *table_of(CACHE_COLUMNS, rows),
        "",
        f"{told['images']} real images, recipes as they are, {environment['cpu']}, "
        f"{environment['cores']} cores; CPU time of all threads, the filling of an empty cache "
        f"counted. Made by `python benchmarks/measurements/throughput.py cache`.",
    ]


def measure_training(
    records: tuple[LesionRecord, ...], variant: str, weights: str, seed: int, use_cache: bool
) -> dict[str, float]:
    """Train once in this process; CPU and wall seconds, peak memory in bytes, test metrics."""
    split = split_lesions(records, seed=seed)
    settings = TrainingSettings(
        variant=Variant(variant), weights=weights, seed=seed, use_cache=use_cache
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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    measured = {name: value for name, value in metrics.as_dict().items() if value is not None}
    return {"cpu_seconds": cpu, "seconds": wall, "peak_bytes": peak, **measured}


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(required=True)
    steps = commands.add_parser("steps", help=time_steps.__doc__)
    steps.set_defaults(measure=time_steps, render=render_rates, part="throughput")
    cache = commands.add_parser("cache", help=time_cache.__doc__)
    cache.set_defaults(measure=time_cache, render=render_ratios, part="speed")
    for command, images in ((steps, 512), (cache, 2000)):
        command.add_argument("--data", type=Path, required=True)
        command.add_argument("--images", type=int, default=images)
        command.add_argument("--keep", type=Path, required=True, help="The figures, as JSON.")
        command.add_argument("--page", type=Path, help="Its part between the markers.")
    cache.add_argument("--weights", required=True)
    cache.add_argument("--seeds", type=int, default=3)
    cache.add_argument("--variants", nargs="+", default=["frozen", "partial"])
    return parser.parse_args()


if __name__ == "__main__":
    main()
