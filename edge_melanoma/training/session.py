"""What `train` and `demo` do: from a data folder to finished run folders and one table.

What a person asked of `train`.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_melanoma.data.cards import find_card
from edge_melanoma.data.copies.search import split_without_copies
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.screening import (
    default_fingerprint_folder,
    leave_out_bad,
    read_fingerprints,
)
from edge_melanoma.data.sets import name_folders, read_data_sets, tell_skipped
from edge_melanoma.data.splits import DatasetSplit, SplitKind
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.judged_pictures import learned_from_split, read_external_sets
from edge_melanoma.evaluation.predictions import predict
from edge_melanoma.evaluation.scaling import FittedScaling, fit_scaling
from edge_melanoma.evaluation.tables import print_training_table
from edge_melanoma.evaluation.thresholds import choose_operating_point
from edge_melanoma.machine.files import read_json
from edge_melanoma.machine.tensorflow import make_deterministic
from edge_melanoma.machine.terminal import Reporter, TerminalReporter
from edge_melanoma.network.network import round_to_half
from edge_melanoma.network.recipes import TEACHER_WEIGHTS, VARIANTS, Variant
from edge_melanoma.runs.folders import choose_run_folder, hold_run
from edge_melanoma.runs.models import MANIFEST, TrainedModel, open_run
from edge_melanoma.runtime.classifiers import KerasClassifier
from edge_melanoma.training.activations import default_cache_folder
from edge_melanoma.training.checkpoints import CHECKPOINT
from edge_melanoma.training.material import TrainingMaterial, read_teacher
from edge_melanoma.training.record import (
    EVALUATION,
    record_run,
    refuse_other_splits,
    refuse_unusable_sets,
    score_external_sets,
)
from edge_melanoma.training.replicas import ALONE, describe_devices, mirror
from edge_melanoma.training.trainees import TrainingSettings
from edge_melanoma.training.training import score_split_sides, train_network
from edge_melanoma.training.workers import Cluster, Distribution, Strategy, read_cluster


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
    deterministic: bool = False
    min_recall: float = 0.95
    out: Path | None = None
    out_is_parent: bool = False
    use_cache: bool = True
    cache_folder: Path | None = None
    resume: bool = False
    force: bool = False
    external: Mapping[str, Path] = field(default_factory=dict)
    strategy: Strategy = Strategy.NONE

    def settings(self, variant: Variant) -> TrainingSettings:
        """The part of the order that shapes the weights."""
        return TrainingSettings(
            variant=variant,
            weights=self.weights,
            seed=self.seed,
            deterministic=self.deterministic,
            epochs=self.epochs,
            batch_size=self.batch_size,
            use_cache=self.use_cache,
        )


def train_variants(order: TrainingOrder) -> tuple[Path, ...]:
    """Train each variant of the order on the same split and print the table of all."""
    from edge_melanoma.training.worker_options import order_of_worker
    from edge_melanoma.training.worker_run import train_among_workers

    reporter = TerminalReporter()
    cluster = read_cluster(order.strategy)
    if cluster is not None:
        order = order_of_worker(order)
    if order.resume and order.out is None:
        raise EdgeMelanomaError("--resume needs --out DIR, the folder of the unfinished run.")
    teacher_run = open_teacher(order)
    records = read_records(order, reporter)
    refuse_unusable_sets(order.external, name_folders(order.data))
    folders = {variant: _folder_for(order, variant) for variant in order.variants}
    if cluster is not None and not cluster.is_first:
        train_among_workers(order, cluster, folders[order.variants[0]])
        reporter.say(f"Worker {cluster.index} has done its part; worker 0 writes the run")
        return ()
    with ExitStack() as held:
        for folder in folders.values():
            held.enter_context(hold_run(folder))
            if order.force:
                (folder / MANIFEST).unlink(missing_ok=True)
                (folder / CHECKPOINT).unlink(missing_ok=True)
        if cluster is not None and not (folders[order.variants[0]] / MANIFEST).is_file():
            train_among_workers(order, cluster, folders[order.variants[0]])
        _train_all(order, folders, records, teacher_run, cluster, reporter)
    runs = [open_run(folder) for folder in folders.values()]
    print_training_table([(run, read_json(run.folder / EVALUATION)) for run in runs])
    return tuple(folders.values())


def read_records(order: TrainingOrder, reporter: Reporter) -> tuple[LesionRecord, ...]:
    """The pictures of the order, not yet opened."""
    records = read_data_sets(named := name_folders(order.data))
    tell_skipped(named, records, reporter=reporter)
    return records


def gather_material(
    order: TrainingOrder,
    records: tuple[LesionRecord, ...],
    teacher_run: TrainedModel | None,
    reporter: Reporter,
) -> TrainingMaterial:
    """Check the pictures and split them without copies: the same in every worker."""
    named = name_folders(order.data)
    if order.deterministic:
        make_deterministic(order.seed)
    cards = {name: find_card(path) for name, path in named.items()}
    cache_folder = order.cache_folder or default_fingerprint_folder()
    prints = read_fingerprints(records, cache_folder=cache_folder, reporter=reporter)
    leave_out_bad(prints.bad, total=len(records), reporter=reporter)
    split = split_without_copies(
        prints, kind=order.split, seed=order.seed, cache_folder=cache_folder, reporter=reporter
    )
    return TrainingMaterial(
        folders=named,
        cards=cards,
        split=split,
        screening=prints,
        teacher=read_teacher(teacher_run, split) if teacher_run else None,
    )


def _train_all(
    order: TrainingOrder,
    folders: Mapping[Variant, Path],
    records: tuple[LesionRecord, ...],
    teacher_run: TrainedModel | None,
    cluster: Cluster | None,
    reporter: Reporter,
) -> None:
    """Train the variants that are not finished, and score the sets from elsewhere with all."""
    material = gather_material(order, records, teacher_run, reporter)
    external = read_external_sets(
        order.external,
        learned_from_split(material.split),
        cache_folder=order.cache_folder or default_fingerprint_folder(),
        reporter=reporter,
    )
    distribution = describe_devices(order.strategy, cluster)
    for variant, folder in _unfinished(order, folders, material.split).items():
        try:
            _train_one(order, variant, folder, material, distribution, reporter)
        except KeyboardInterrupt:
            reporter.say(_tell_kept(folder))
            raise
    for folder in folders.values():
        score_external_sets(open_run(folder), external, reporter=reporter)


def _tell_kept(folder: Path) -> str:
    if not (folder / CHECKPOINT).is_file():
        return f"Interrupted before an epoch of {folder} was kept; activations are, in the cache"
    return (
        f"Interrupted: {folder / CHECKPOINT} keeps the training; repeat the command with --resume "
        f"--out {folder}"
    )


def open_teacher(order: TrainingOrder) -> TrainedModel | None:
    """The run to learn from, if one was given.

    Raises:
        EdgeMelanomaError: no run, or a variant that has no teacher.
    """
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
    return choose_run_folder(out, variant=variant, force=order.force or order.resume)


def _unfinished(
    order: TrainingOrder, folders: Mapping[Variant, Path], split: DatasetSplit
) -> dict[Variant, Path]:
    """The runs that are still to be trained: with --resume, those without a manifest."""
    finished = [path for path in folders.values() if order.resume and (path / MANIFEST).is_file()]
    if order.external:
        runs = [open_run(folder) for folder in finished]
        refuse_other_splits(runs, fingerprint=split.fingerprint)
    return {variant: folder for variant, folder in folders.items() if folder not in finished}


def _train_one(
    order: TrainingOrder,
    variant: Variant,
    folder: Path,
    material: TrainingMaterial,
    distribution: Distribution,
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
        replicas=mirror() if order.strategy is Strategy.MIRRORED else ALONE,
    )
    scaling = None
    if settings.spec().calibrated:
        scaling = _calibrate(result.network, split, reporter)
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
    record_run(
        folder,
        settings=settings,
        split=split,
        screening=material.screening,
        dataset=material.describe(),
        result=result,
        sides=sides,
        operating_point=operating_point,
        teacher=material.teacher,
        scaling=scaling,
        distribution=distribution,
    )


def _calibrate(network: Any, split: DatasetSplit, reporter: Reporter) -> FittedScaling:
    """Scale the network's last layer so that its validation scores are probabilities."""
    scores = predict(
        KerasClassifier(network),
        split.validation,
        reporter=reporter,
        label="Scoring validation, to calibrate",
    )
    fitted = fit_scaling(scores, records=split.validation, test=split.test)
    fitted.scaling.fold_into(network)
    reporter.say(fitted.describe())
    return fitted
