"""What `train` and `demo` do: from a data folder to finished run folders and one table."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
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
from edge_melanoma.errors import EdgeMelanomaError, MissingExtraError
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
from edge_melanoma.runtime.names import Engine
from edge_melanoma.training.activations import default_cache_folder
from edge_melanoma.training.checkpoints import CHECKPOINT
from edge_melanoma.training.devices import Placement
from edge_melanoma.training.material import TrainingMaterial, TrainingSettings, read_teacher
from edge_melanoma.training.ray import train_on_ray
from edge_melanoma.training.record import (
    EVALUATION,
    record_run,
    refuse_other_splits,
    refuse_unusable_sets,
    score_external_sets,
)
from edge_melanoma.training.training import score_split_sides, train_network

HERE = Placement()
"""By one process, on one device."""


def train_variants(
    data: Sequence[Path],
    settings: Sequence[TrainingSettings],
    *,
    split: SplitKind = SplitKind.POOLED,
    teacher: Path | None = None,
    min_recall: float = 0.95,
    out: Path | None = None,
    cache_folder: Path | None = None,
    resume: bool = False,
    force: bool = False,
    external: Mapping[str, Path] = MappingProxyType({}),
    placement: Placement = HERE,
    tensorboard: Path | None = None,
) -> tuple[Path, ...]:
    """Train each variant on the same split, print the table of all, and return the run folders.

    All of `settings` differ in their variant alone. Of several variants, `out` is the folder of the
    run folders.

    Raises:
        EdgeMelanomaError: pictures, folders or options cannot be used.
    """
    reporter = TerminalReporter()
    if tensorboard is not None and find_spec("tensorboard") is None:
        raise MissingExtraError.for_package(
            "tensorboard", extra="tensorboard", purpose="--tensorboard"
        )
    if resume and out is None:
        raise EdgeMelanomaError("--resume needs --out DIR, the folder of the unfinished run.")
    teacher_run = _open_teacher(teacher, settings)
    named = name_folders(data)
    records = read_data_sets(named)
    tell_skipped(named, records, reporter=reporter)
    refuse_unusable_sets(external, named)
    with ExitStack() as held:
        held.enter_context(placement.running())
        folders = _choose_folders(settings, out, replaces=force or resume)
        for folder in folders.values():
            held.enter_context(hold_run(folder))
            if force:
                (folder / MANIFEST).unlink(missing_ok=True)
                (folder / CHECKPOINT).unlink(missing_ok=True)
        material = _gather_material(
            named,
            records,
            settings[0],
            kind=split,
            teacher=teacher_run,
            cache_folder=cache_folder or default_fingerprint_folder(),
            reporter=reporter,
        )
        outside = read_external_sets(
            external,
            learned_from_split(material.split),
            cache_folder=cache_folder or default_fingerprint_folder(),
            reporter=reporter,
        )
        finished = {p for p in folders.values() if resume and (p / MANIFEST).is_file()}
        if external:
            runs = [open_run(folder) for folder in finished]
            refuse_other_splits(runs, fingerprint=material.split.fingerprint)
        for chosen in settings:
            folder = folders[chosen.variant]
            if folder not in finished:
                _train_one(
                    chosen,
                    folder,
                    material,
                    min_recall=min_recall,
                    cache_folder=cache_folder or default_cache_folder(),
                    resume=resume,
                    placement=placement,
                    tensorboard=tensorboard,
                    reporter=reporter,
                )
        for folder in folders.values():
            score_external_sets(open_run(folder), outside, reporter=reporter)
    runs = [open_run(folder) for folder in folders.values()]
    print_training_table([(run, read_json(run.folder / EVALUATION)) for run in runs])
    return tuple(folders.values())


def _open_teacher(
    teacher: Path | None, settings: Sequence[TrainingSettings]
) -> TrainedModel | None:
    """The run to learn from, if one was given.

    Raises:
        EdgeMelanomaError: no run, or a variant that has no teacher.
    """
    if teacher is None:
        if settings[0].weights == TEACHER_WEIGHTS:
            raise EdgeMelanomaError("--weights teacher needs --teacher RUN, a finished run.")
        return None
    learners = [variant for variant, spec in VARIANTS.items() if spec.teacher_share > 0]
    if not {one.variant for one in settings} <= set(learners):
        raise EdgeMelanomaError(
            f"--teacher is for --variant {', '.join(learners)}; the other variants learn from the "
            f"labels alone."
        )
    return open_run(teacher)


def _choose_folders(
    settings: Sequence[TrainingSettings], out: Path | None, *, replaces: bool
) -> dict[Variant, Path]:
    variants = [one.variant for one in settings]
    outs = [out / variant if out and len(variants) > 1 else out for variant in variants]
    return {
        variant: choose_run_folder(chosen, variant=variant, force=replaces)
        for variant, chosen in zip(variants, outs, strict=True)
    }


def _gather_material(
    named: Mapping[str, Path],
    records: tuple[LesionRecord, ...],
    settings: TrainingSettings,
    *,
    kind: SplitKind,
    teacher: TrainedModel | None,
    cache_folder: Path,
    reporter: Reporter,
) -> TrainingMaterial:
    """Check the pictures and split them without copies."""
    if settings.deterministic:
        make_deterministic(settings.seed)
    cards = {name: find_card(path) for name, path in named.items()}
    prints = read_fingerprints(records, cache_folder=cache_folder, reporter=reporter)
    leave_out_bad(prints.bad, total=len(records), reporter=reporter)
    split = split_without_copies(
        prints, kind=kind, seed=settings.seed, cache_folder=cache_folder, reporter=reporter
    )
    return TrainingMaterial(
        folders=named,
        cards=cards,
        split=split,
        screening=prints,
        teacher=read_teacher(teacher, split) if teacher else None,
    )


def _train_one(
    settings: TrainingSettings,
    folder: Path,
    material: TrainingMaterial,
    *,
    min_recall: float,
    cache_folder: Path,
    resume: bool,
    placement: Placement,
    tensorboard: Path | None,
    reporter: Reporter,
) -> None:
    split, spec = material.split, settings.spec()
    reporter.say(f"Training {settings.variant} into {folder}")
    try:
        train = (
            partial(train_on_ray, placement=placement)
            if placement.engine is Engine.RAY
            else partial(
                train_network,
                devices=placement.devices(),
                tensorboard=tensorboard / settings.variant if tensorboard else None,
            )
        )
        result = train(
            split,
            settings,
            run_folder=folder,
            cache_folder=cache_folder,
            reporter=reporter,
            teacher=material.teacher,
            resume=resume,
        )
    except KeyboardInterrupt:
        reporter.say(_tell_kept(folder))
        raise
    scaling = _calibrate(result.network, split, reporter) if spec.calibrated else None
    if spec.half_precision:
        round_to_half(result.network)
    sides = score_split_sides(
        result.network, split, settings, cache_folder=cache_folder, reporter=reporter
    )
    operating_point = choose_operating_point(sides["validation"], min_recall=min_recall)
    sides["test"] = predict(
        KerasClassifier(result.network),
        split.test,
        reporter=reporter,
        label="Scoring the test side",
    )
    record_run(
        folder,
        settings=settings,
        material=material,
        result=result,
        sides=sides,
        operating_point=operating_point,
        scaling=scaling,
        placement=placement,
    )


def _tell_kept(folder: Path) -> str:
    if not (folder / CHECKPOINT).is_file():
        return f"Interrupted before an epoch of {folder} was kept; activations are, in the cache"
    return (
        f"Interrupted: {folder / CHECKPOINT} keeps the training; repeat the command with --resume "
        f"--out {folder}"
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
