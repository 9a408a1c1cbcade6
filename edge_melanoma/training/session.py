"""What `train` and `demo` do: from data folders to finished run folders."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from types import MappingProxyType
from typing import Any

from edge_melanoma.data import sets
from edge_melanoma.data.cards import find_card
from edge_melanoma.data.clinics import count_sources, describe_sources
from edge_melanoma.data.labels import AS_FOUND, Reading
from edge_melanoma.data.screening import default_fingerprint_folder
from edge_melanoma.data.splits import DatasetSplit, SplitKind, choose_kind, find_divided
from edge_melanoma.errors import EdgeMelanomaError, MissingExtraError
from edge_melanoma.evaluation.judged_pictures import learned_from_split, read_external_sets
from edge_melanoma.evaluation.predictions import predict
from edge_melanoma.evaluation.tables import print_training_table
from edge_melanoma.evaluation.thresholds import choose_operating_point
from edge_melanoma.machine.tensorflow import make_deterministic
from edge_melanoma.machine.terminal import Reporter, TerminalReporter
from edge_melanoma.network.network import round_to_half
from edge_melanoma.network.recipes import Variant
from edge_melanoma.network.starting_weights import refuse_missing_weights
from edge_melanoma.runs.folders import choose_run_folder, hold_run
from edge_melanoma.runs.models import MANIFEST, open_run
from edge_melanoma.runs.options import keep_options
from edge_melanoma.runs.results import read_evaluation
from edge_melanoma.runtime.classifiers import KerasClassifier
from edge_melanoma.runtime.names import Engine
from edge_melanoma.training.activations import default_cache_folder
from edge_melanoma.training.checkpoints import CHECKPOINT
from edge_melanoma.training.gate import fit_gate
from edge_melanoma.training.material import (
    Placement,
    TrainingMaterial,
    TrainingSettings,
    gather_material,
    open_teacher,
)
from edge_melanoma.training.ray import train_on_ray
from edge_melanoma.training.record import (
    record_run,
    scale_last_layer,
    score_external_sets,
)
from edge_melanoma.training.training import TrainingResult, score_split_sides, train_network


def train_variants(
    data: Sequence[Path],
    settings: Sequence[TrainingSettings],
    *,
    reading: Reading = AS_FOUND,
    split: SplitKind | None = None,
    teacher: Path | None = None,
    min_recall: float | None = None,
    out: Path | None = None,
    cache_folder: Path | None = None,
    resume: bool = False,
    force: bool = False,
    external: Mapping[str, Path] = MappingProxyType({}),
    placement: Placement | None = None,
    tensorboard: Path | None = None,
    callbacks: tuple[Any, ...] = (),
    options: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[Path, ...]:
    """Train each variant on the same split, print the table of all, and return the run folders.

    All of `settings` differ in their variant alone. Of several variants, `out` is the folder of the
    run folders. Without `split`, a given validation side is kept, and else all are pooled. Without
    `placement` one process trains on one device. `callbacks` are Keras' own, for a training on this
    machine. `options` are those of the command, which each run folder keeps.

    Raises:
        EdgeMelanomaError: pictures, folders or options cannot be used.
    """
    reporter, placement = TerminalReporter(), placement or Placement()
    if tensorboard is not None and find_spec("tensorboard") is None:
        raise MissingExtraError.for_package(
            "tensorboard", extra="tensorboard", purpose="--tensorboard"
        )
    if resume and out is None:
        raise EdgeMelanomaError("--resume needs --out DIR, the folder of the unfinished run.")
    teacher_run = open_teacher(teacher, settings)
    named = sets.name_folders(data)
    records = sets.read_data_sets(named, reading, reporter=reporter)
    sets.tell_skipped(named, records, reporter=reporter)
    kind = choose_kind(records, split, reporter=reporter)
    records = sets.leave_out_one_sided(records, reporter=reporter)
    for note in describe_sources(count_sources(records)):
        reporter.say(note)
    if divided := find_divided(records, "is_malignant", by_patient=False):
        reporter.say(
            f"{len(divided)} lesions have both labels, such as that of "
            f"{' and '.join(divided[0][:2])}: edge-melanoma data check names them all."
        )
    sets.refuse_training_sets(external, named)
    for path in external.values():
        find_card(path)
    fingerprints = cache_folder or default_fingerprint_folder()
    with ExitStack() as held:
        held.enter_context(placement.running())
        folders = _choose_folders(settings, out, replaces=force or resume)
        for folder in folders.values():
            held.enter_context(hold_run(folder))
            for name in (MANIFEST, CHECKPOINT) if force else ():
                (folder / name).unlink(missing_ok=True)
        refuse_missing_weights(settings[0].weights)
        if settings[0].deterministic:
            make_deterministic(settings[0].seed)
        material = gather_material(
            named,
            records,
            reading,
            kind=kind,
            seed=settings[0].seed,
            teacher=teacher_run,
            cache_folder=fingerprints,
            reporter=reporter,
        )
        outside = read_external_sets(
            external,
            learned_from_split(material.split),
            reading,
            cache_folder=fingerprints,
            reporter=reporter,
        )
        finished = {p for p in folders.values() if resume and (p / MANIFEST).is_file()}
        if external:
            _refuse_other_splits(finished, material.split)
        for chosen in settings:
            if (folder := folders[chosen.variant]) not in finished:
                _train_one(
                    chosen,
                    folder,
                    material,
                    min_recall=min_recall,
                    cache_folder=cache_folder or default_cache_folder(),
                    resume=resume,
                    placement=placement,
                    tensorboard=tensorboard,
                    callbacks=callbacks,
                    options={**options, "variant": chosen.variant} if options else {},
                    reporter=reporter,
                )
        for folder in folders.values():
            score_external_sets(open_run(folder), outside, reporter=reporter)
    runs = [open_run(folder) for folder in folders.values()]
    print_training_table([(run, read_evaluation(run.folder)) for run in runs])
    return tuple(folders.values())


def _choose_folders(
    settings: Sequence[TrainingSettings], out: Path | None, *, replaces: bool
) -> dict[Variant, Path]:
    variants = [one.variant for one in settings]
    outs = [out / variant if out and len(variants) > 1 else out for variant in variants]
    return {
        variant: choose_run_folder(chosen, variant=variant, force=replaces)
        for variant, chosen in zip(variants, outs, strict=True)
    }


def _refuse_other_splits(finished: Iterable[Path], split: DatasetSplit) -> None:
    """Copies are left out by the split that is trained on; a finished run must be of the same."""
    for run in map(open_run, finished):
        if run.manifest["split"]["fingerprint"] != split.fingerprint:
            raise EdgeMelanomaError(
                f"The finished run {run.folder} has another split than this command would make; "
                f"score it with: edge-melanoma evaluate {run.folder} --external NAME=DIR"
            )


def _train_one(
    settings: TrainingSettings,
    folder: Path,
    material: TrainingMaterial,
    *,
    min_recall: float | None,
    cache_folder: Path,
    resume: bool,
    placement: Placement,
    tensorboard: Path | None,
    callbacks: tuple[Any, ...],
    options: Mapping[str, Any],
    reporter: Reporter,
) -> None:
    split, spec = material.split, settings.spec()
    reporter.say(f"Training {settings.variant} into {folder}")
    train: Callable[..., TrainingResult] = partial(train_on_ray, placement=placement)
    if placement.engine is not Engine.RAY:
        logs = tensorboard / settings.variant if tensorboard else None
        train = partial(
            train_network, devices=placement.devices(), tensorboard=logs, callbacks=callbacks
        )
    try:
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
        kept = folder / CHECKPOINT
        raise KeyboardInterrupt(
            f"interrupted; {kept} keeps the epochs that are done: repeat the command with "
            f"--resume --out {quote(str(folder))}"
            if kept.is_file()
            else "interrupted before the end of the first epoch; no run was kept."
        ) from None
    network, calibration = result.network, None
    score = partial(predict, KerasClassifier(network, views=spec.views), reporter=reporter)
    if spec.calibrated:
        scores = score(split.validation, label="Scoring validation, to calibrate")
        calibration = scale_last_layer(network, scores, split.validation, reporter)
    if spec.half_precision:
        round_to_half(network)
    sides = score_split_sides(
        network, split, settings, cache_folder=cache_folder, reporter=reporter
    )
    if spec.views > 1:
        sides["validation"] = score(split.validation, label="Scoring the validation side")
    point = choose_operating_point(sides["validation"], min_recall=min_recall)
    sides["test"] = score(split.test, label="Scoring the test side")
    gate = fit_gate(network, split.train, split.validation, seed=settings.seed, reporter=reporter)
    keep_options(folder, "train", options)
    record_run(
        folder,
        settings=settings,
        material=material,
        result=result,
        sides=sides,
        operating_point=point,
        calibration=calibration,
        placement=placement,
        gate=gate,
    )
