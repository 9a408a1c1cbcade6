"""What each part of the recipe best brings: short trainings with one part taken away or changed.

    python benchmarks/measurements/ablation.py --data DIR --data DIR --weights FILE --out FILE
    python benchmarks/measurements/ablation.py ... --left-out SET

All trainings see the same pictures for the same epochs at the same small size, one after another,
and are judged on the validation side alone, or, of a set that was left out, on all of its pictures
but those of a given test folder: what a part brings on other cameras shows only there. The whole
recipe is some 20 times longer: the table ranks its parts, it does not foretell what they end at.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import compress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from readme import update_readme

from edge_melanoma.data.copies.search import find_duplicates, mark_clusters
from edge_melanoma.data.screening import default_fingerprint_folder, screen_images
from edge_melanoma.data.sets import name_folders, read_data_sets
from edge_melanoma.data.splits import DatasetSplit, SplitKind, split_lesions
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.metrics import area_under_roc
from edge_melanoma.evaluation.predictions import PredictionSet, make_prediction_set
from edge_melanoma.evaluation.thresholds import choose_operating_point
from edge_melanoma.machine.environment import describe_environment
from edge_melanoma.machine.files import read_json, write_json
from edge_melanoma.machine.markdown import table_of
from edge_melanoma.machine.processes import run_in_child
from edge_melanoma.machine.terminal import TerminalReporter
from edge_melanoma.network.recipes import (
    BACKBONE_LAYERS,
    BEST,
    FROM_BLOCK_3,
    MILD,
    Appearance,
    Stage,
    VariantSpec,
)
from edge_melanoma.training.activations import default_cache_folder
from edge_melanoma.training.trainee import TraineeMaker

SHORT_SIZE = 96
SHORT_EPOCHS = 2
SHORT_WARMUP_STEPS = 100


COLUMNS = ("recipe", "AUC", "specificity at recall .95", "AUC in each set", "CPU min")
COLUMNS_LEFT_OUT = ("recipe", "AUC on {}, left out", "AUC on validation", "CPU min")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation:
    """A change of the recipe: of the whole of it, and of each of its stages.

    The short recipe trains from block 3 on, as the recipe's last stage does, in four fifths of the
    time.
    """

    recipe: Mapping[str, Any] = field(default_factory=dict)
    stage: Mapping[str, Any] = field(default_factory=dict)
    largest_set_alone: bool = False


ABOUT_TWICE = Appearance(
    brightness=0.2,
    channel_gain=0.1,
    saturation=0.25,
    contrast=0.15,
    gamma=0.15,
    hue=0.1,
    shades_of_grey=0.3,
)

ABLATIONS: Mapping[str, Ablation] = MappingProxyType(
    {
        "best, in short": Ablation(),
        "every layer trains": Ablation(stage={"unfrozen_backbone_layers": BACKBONE_LAYERS}),
        "last 30 layers train": Ablation(stage={"unfrozen_backbone_layers": 30}),
        "learning rate 3e-4": Ablation(stage={"learning_rate": 3e-4}),
        "learning rate 2e-3": Ablation(stage={"learning_rate": 2e-3}),
        "largest set alone": Ablation(largest_set_alone=True),
        "every picture once": Ablation(recipe={"source_share": None}),
        "geometry varied alone": Ablation(stage={"augmentation": replace(MILD, appearance=None)}),
        "light and colour varied about twice as much": Ablation(
            stage={"augmentation": replace(MILD, appearance=ABOUT_TWICE)}
        ),
        "nothing varied": Ablation(stage={"augmentation": None}),
        "no averaged weights": Ablation(stage={"average_decay": 0.0}),
        "no label smoothing": Ablation(stage={"label_smoothing": 0.0}),
        "batch-norm momentum 0.999": Ablation(recipe={"batch_norm_momentum": 0.999}),
    }
)


def main() -> None:
    """Make the table; one sentence and code 2 where that cannot be."""
    try:
        make_table(_parse())
    except EdgeMelanomaError as error:
        print(f"ablation: {error}", file=sys.stderr)
        sys.exit(2)


def make_table(options: argparse.Namespace) -> None:
    """Train and judge each, write the figures as JSON after each and print a line each."""
    records = screen_images(read_data_sets(name_folders(options.data))).readable
    copies = find_duplicates(records, cache_folder=default_fingerprint_folder())
    split = split_lesions(mark_clusters(records, copies), kind=SplitKind.FOLDERS)
    if options.left_out:
        split = leave_out(split, options.left_out)
    environment = describe_environment()
    del environment["command"]
    rows = known_rows(options.out, split)
    for name in options.only or ABLATIONS:
        if name in rows:
            continue
        rows[name] = run_in_child(
            measure_recipe, split, ABLATIONS[name], options.weights, options.cache_dir
        )
        print(json.dumps({name: rows[name]}), flush=True)
        told = {
            "size": SHORT_SIZE,
            "epochs": SHORT_EPOCHS,
            "split": split.fingerprint,
            "images": {side: len(members) for side, members in split.sides().items()},
            "left_out": options.left_out,
            "rows": rows,
            "machine": environment,
        }
        write_json(options.out, told)
    if options.readme:
        name = "ablation-left-out" if options.left_out else "ablation"
        update_readme(options.readme, name=name, lines=render(read_json(options.out)))


def known_rows(file: Path, split: DatasetSplit) -> dict[str, Any]:
    """The rows of an earlier call that `file` holds, to which others are added; none without it.

    Raises:
        EdgeMelanomaError: they are of other pictures, another size or another number of epochs, so
            that rows of today could not be compared with them.
    """
    if not file.is_file():
        return {}
    told = read_json(file)
    if (told["split"], told["size"], told["epochs"]) != (
        split.fingerprint,
        SHORT_SIZE,
        SHORT_EPOCHS,
    ):
        raise EdgeMelanomaError(
            f"--out {file} holds trainings on other pictures, or at another size or length; give "
            f"the same --data and --left-out as for those, or another file."
        )
    rows: dict[str, Any] = told["rows"]
    return rows


def leave_out(split: DatasetSplit, source: str) -> DatasetSplit:
    """Nothing of `source` and no copy of it trains; all of it is judged, beside validation.

    A test side stays what it is, and unseen.

    Raises:
        EdgeMelanomaError: no picture is of that source, or nothing else trains.
    """
    judged = tuple(
        record for record in (*split.train, *split.validation) if record.source == source
    )
    copies = {record.cluster for record in judged} - {None}
    train, validation = (
        tuple(
            record for record in members if record.source != source and record.cluster not in copies
        )
        for members in (split.train, split.validation)
    )
    if not judged or not train:
        raise EdgeMelanomaError(
            f"--left-out {source} leaves nothing to judge or nothing to train; give the name of "
            f"one of several --data folders."
        )
    return replace(split, train=train, validation=(*validation, *judged))


def measure_recipe(
    split: DatasetSplit, ablation: Ablation, weights: str, cache_folder: Path
) -> dict[str, Any]:
    """Train once in this process; figures of the whole validation side, CPU and wall seconds."""
    from edge_melanoma.training.material import TrainingSettings
    from edge_melanoma.training.training import train_network

    settings = TrainingSettings(
        variant=BEST.variant, weights=weights, recipe=shorten(BEST, ablation)
    )
    reporter = TerminalReporter()
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        result = train_network(
            _largest_set_alone(split) if ablation.largest_set_alone else split,
            settings,
            run_folder=Path(folder),
            cache_folder=cache_folder,
            reporter=reporter,
        )
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    predictions = score_validation(
        result.network, TraineeMaker(split, settings, cache_folder, reporter)
    )
    sources = np.array([record.source or "" for record in split.validation])
    return {"cpu_seconds": cpu, "seconds": wall, **judge(predictions, sources)}


def score_validation(network: Any, maker: TraineeMaker) -> PredictionSet:
    """Scores of the validation side at the size of the last stage, as the training saw them."""
    from edge_melanoma.network.network import compile_forward
    from edge_melanoma.training.callbacks import score
    from edge_melanoma.training.devices import ALONE
    from edge_melanoma.training.training import learner_of

    spec = maker.settings.spec()
    seen = learner_of(network, spec, spec.stages[-1].image_size, ALONE)
    trainee = maker.trainee(seen, spec.stages[-1], number=len(spec.stages) - 1)
    scores = score(compile_forward(trainee.model), trainee.validation)
    return make_prediction_set(maker.split.validation, scores)


def judge(predictions: PredictionSet, sources: NDArray[np.str_]) -> dict[str, Any]:
    """AUC, specificity at the operating point, and the AUC within each data set."""
    point = choose_operating_point(predictions)
    return {
        "auc": area_under_roc(predictions),
        "specificity": point.specificity,
        "auc_by_source": {
            str(source): area_under_roc(_part(predictions, sources == source))
            for source in np.unique(sources)
        },
    }


def render(told: Mapping[str, Any]) -> list[str]:
    """The table of the trainings, as lines of Markdown."""
    left_out = told["left_out"]
    columns = [column.format(left_out) for column in COLUMNS_LEFT_OUT] if left_out else COLUMNS
    cells = partial(_cells_left_out, source=left_out) if left_out else _cells
    rows = [
        [name, *cells(row), f"{row['cpu_seconds'] / 60:.1f}"] for name, row in told["rows"].items()
    ]
    images, machine, side = told["images"], told["machine"], "judged" if left_out else "validation"
    return [
        *table_of(columns, rows),
        "",
        f"{images['train']} training and {images['validation']} {side} pictures, "
        f"{told['epochs']} epochs at {told['size']} pixels, one seed, {machine['cpu']}, "
        f"{machine['cores']} cores. Made by `python benchmarks/measurements/ablation.py"
        f"{f' --left-out {left_out}' if left_out else ''}`.",
    ]


def _cells(row: Mapping[str, Any]) -> list[str]:
    each = ", ".join(f"{source} {auc:.4f}" for source, auc in row["auc_by_source"].items())
    return [f"{row['auc']:.4f}", f"{row['specificity']:.3f}", each]


def _cells_left_out(row: Mapping[str, Any], source: str) -> list[str]:
    areas = dict(row["auc_by_source"])
    left_out = f"{areas.pop(source):.4f}"
    return [left_out, ", ".join(f"{name} {auc:.4f}" for name, auc in areas.items())]


def _largest_set_alone(split: DatasetSplit) -> DatasetSplit:
    ((largest, _),) = Counter(record.source for record in split.train).most_common(1)
    train, validation, test = (
        tuple(record for record in members if record.source == largest)
        for members in (split.train, split.validation, split.test)
    )
    return replace(split, train=train, validation=validation, test=test)


def _part(predictions: PredictionSet, chosen: NDArray[np.bool_]) -> PredictionSet:
    return PredictionSet(
        image_ids=tuple(compress(predictions.image_ids, chosen)),
        labels=predictions.labels[chosen],
        scores=predictions.scores[chosen],
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--left-out", metavar="SET", help="Judge on this set, train on the others.")
    parser.add_argument("--only", nargs="+", choices=ABLATIONS, help="These recipes alone.")
    parser.add_argument("--cache-dir", type=Path, default=default_cache_folder())
    parser.add_argument("--readme", type=Path, help="Its part between the ablation markers.")
    return parser.parse_args()


def shorten(spec: VariantSpec, ablation: Ablation) -> VariantSpec:
    """The recipe's first stage, small and short, with the change put in."""
    short: Stage = replace(
        spec.stages[0],
        name="short",
        unfrozen_backbone_layers=FROM_BLOCK_3,
        image_size=SHORT_SIZE,
        epochs=SHORT_EPOCHS,
        warmup_steps=SHORT_WARMUP_STEPS,
        final_learning_rate=0.0,
        average_decay=0.995,
    )
    return replace(spec, stages=(replace(short, **ablation.stage),), **ablation.recipe)


if __name__ == "__main__":
    main()
