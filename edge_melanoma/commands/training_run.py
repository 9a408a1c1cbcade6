"""What `train` and `demo` do: from a data folder to finished run folders and one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_melanoma.activations import default_cache_folder
from edge_melanoma.artifacts import (
    MANIFEST,
    TrainedModel,
    choose_run_folder,
    open_run,
    read_json,
)
from edge_melanoma.checkpoints import CHECKPOINT
from edge_melanoma.classifiers import KerasClassifier
from edge_melanoma.commands.teacher import read_teacher
from edge_melanoma.data_sets import name_folders, read_data_sets
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation import describe_dataset
from edge_melanoma.integrity import Screening, screen_images
from edge_melanoma.leaks import find_duplicates, mark_clusters
from edge_melanoma.lesions import LesionRecord
from edge_melanoma.network import round_to_half
from edge_melanoma.predictions import predict
from edge_melanoma.progress import Reporter, TerminalReporter
from edge_melanoma.run_record import EVALUATION, record_run
from edge_melanoma.splits import DatasetSplit, SplitKind, split_lesions
from edge_melanoma.thresholds import choose_operating_point
from edge_melanoma.trainees import Teacher, TrainingSettings
from edge_melanoma.training import score_split_sides, train_network
from edge_melanoma.training_table import print_training_table
from edge_melanoma.variants import TEACHER_WEIGHTS, VARIANTS, Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOrder:
    """All that a person asked of `train`."""

    data: tuple[Path, ...]
    variants: tuple[Variant, ...]
    weights: str = "imagenet"
    teacher: Path | None = None
    split: SplitKind = SplitKind.POOLED
    epochs: int | None = None
    batch_size: int | None = None
    seed: int = 0
    min_recall: float = 0.95
    out: Path | None = None
    out_is_parent: bool = False
    use_cache: bool = True
    cache_folder: Path | None = None
    resume: bool = False
    force: bool = False

    def settings(self, variant: Variant) -> TrainingSettings:
        """The part of the order that shapes the weights."""
        return TrainingSettings(
            variant=variant,
            weights=self.weights,
            seed=self.seed,
            epochs=self.epochs,
            batch_size=self.batch_size,
            use_cache=self.use_cache,
        )


def train_variants(order: TrainingOrder) -> tuple[Path, ...]:
    """Train each variant of the order on the same split and print the table of all."""
    reporter = TerminalReporter()
    if order.resume and order.out is None:
        raise EdgeMelanomaError("--resume needs --out DIR, the folder of the unfinished run.")
    teacher_run = _open_teacher(order)
    named = name_folders(order.data)
    records = read_data_sets(named)
    folders = {variant: _folder_for(order, variant) for variant in order.variants}
    screening = screen_images(records, reporter=reporter)
    split = _split(order, screening.readable, reporter)
    material = _Material(
        folders=named,
        split=split,
        screening=screening,
        teacher=read_teacher(teacher_run, split) if teacher_run else None,
    )
    for variant, folder in folders.items():
        if not (order.resume and (folder / MANIFEST).is_file()):
            _train_one(order, variant, folder, material, reporter)
    runs = [open_run(folder) for folder in folders.values()]
    print_training_table([(run, read_json(run.folder / EVALUATION)) for run in runs])
    return tuple(folders.values())


def _split(
    order: TrainingOrder, records: tuple[LesionRecord, ...], reporter: Reporter
) -> DatasetSplit:
    cache_folder = order.cache_folder or default_cache_folder()
    duplicates = find_duplicates(records, reporter=reporter, cache_folder=cache_folder)
    marked = mark_clusters(records, duplicates)
    split = split_lesions(marked, kind=order.split, seed=order.seed)
    if duplicates.clusters:
        copies = sum(len(cluster) for cluster in duplicates.clusters)
        reporter.say(
            f"Kept on one side each: {len(duplicates.clusters)} clusters of copies, "
            f"{copies} images."
        )
    if split.left_out:
        reporter.say(
            f"Left out of training: {len(split.left_out)} images that are in the test folder too, "
            f"as {len(split.leaked_test)} images there."
        )
    return split


@dataclass(frozen=True, slots=True, kw_only=True)
class _Material:
    """What all variants of an order learn from."""

    folders: Mapping[str, Path]
    split: DatasetSplit
    screening: Screening
    teacher: Teacher | None


def _open_teacher(order: TrainingOrder) -> TrainedModel | None:
    if order.teacher is None:
        if order.weights == TEACHER_WEIGHTS:
            raise EdgeMelanomaError("--weights teacher needs --teacher RUN, a finished run.")
        return None
    learners = [variant for variant, spec in VARIANTS.items() if spec.teacher_share > 0]
    if not set(order.variants) <= set(learners):
        raise EdgeMelanomaError(
            f"--teacher is for --variant {', '.join(learners)}; the other variants learn from the "
            f"labels alone."
        )
    return open_run(order.teacher)


def _folder_for(order: TrainingOrder, variant: Variant) -> Path:
    out = order.out / variant.value if order.out and order.out_is_parent else order.out
    folder = choose_run_folder(out, variant=variant, force=order.force or order.resume)
    if order.force:
        (folder / MANIFEST).unlink(missing_ok=True)
        (folder / CHECKPOINT).unlink(missing_ok=True)
    return folder


def _train_one(
    order: TrainingOrder,
    variant: Variant,
    folder: Path,
    material: _Material,
    reporter: Reporter,
) -> None:
    split, settings = material.split, order.settings(variant)
    reporter.say(f"Training {variant.value} into {folder}")
    cache_folder = order.cache_folder or default_cache_folder()
    result = train_network(
        split,
        settings,
        run_folder=folder,
        cache_folder=cache_folder,
        reporter=reporter,
        teacher=material.teacher,
        resume=order.resume,
    )
    if settings.spec().half_precision:
        round_to_half(result.network)
    sides = score_split_sides(
        result.network, split, settings, cache_folder=cache_folder, reporter=reporter
    )
    operating_point = choose_operating_point(sides["validation"], min_recall=order.min_recall)
    sides["test"] = predict(
        KerasClassifier(result.network),
        split.test,
        reporter=reporter,
        label="Scoring the test side",
    )
    dataset = describe_dataset(" + ".join(material.folders), material.screening.readable)
    record_run(
        folder,
        settings=settings,
        split=split,
        screening=material.screening,
        dataset=dataset
        | {"folders": {name: str(folder) for name, folder in material.folders.items()}},
        result=result,
        sides=sides,
        operating_point=operating_point,
        teacher=material.teacher,
    )
