"""From a data split and a recipe to trained weights: settings in, network and history out."""

import json
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.images import IMAGE_SIZE, read_image, scale_pixels
from edge_melanoma.data.splits import DatasetSplit
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import PredictionSet, make_prediction_set
from edge_melanoma.machine.files import sha256_of
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.network.network import (
    arrays_of,
    assign_arrays,
    build_network,
    calibrate_batch_norm,
)
from edge_melanoma.network.recipes import TEACHER_WEIGHTS, Stage, VariantSpec
from edge_melanoma.network.starting_weights import copy_backbone, load_backbone_weights
from edge_melanoma.training.agreement import check_agreement
from edge_melanoma.training.checkpoints import (
    CHECKPOINT,
    HistoryRow,
    TrainingState,
    load_checkpoint,
    save_checkpoint,
)
from edge_melanoma.training.fitting import Trainee, fit_stage, score_batches
from edge_melanoma.training.replicas import ALONE, Replicas
from edge_melanoma.training.trainees import Teacher, TraineeMaker, TrainingSettings

CHECKPOINT_INTERVAL_SECONDS = 20.0
"""Epochs on cached features take a second: writing 10 MB after each would be half of the work."""

BATCH_NORM_IMAGES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """A trained network (tf_keras), the epochs that made it, and the wall time in seconds."""

    network: Any
    history: tuple[HistoryRow, ...]
    seconds: float


def train_network(
    split: DatasetSplit,
    settings: TrainingSettings,
    *,
    run_folder: Path,
    cache_folder: Path,
    reporter: Reporter,
    teacher: Teacher | None = None,
    resume: bool = False,
    replicas: Replicas = ALONE,
) -> TrainingResult:
    """Run every stage of the variant; `run_folder` receives checkpoints on the way.

    The time includes the finished epochs of an interrupted part, not its preparation. Where
    several processes are `replicas` of each other, the first one writes, also a checkpoint at the
    end; with another number of them, a checkpoint is gone on with as well.

    Raises:
        EdgeMelanomaError: the batches are too small for the replicas, a checkpoint is of another
            training, or the processes were told different things.
        OutOfStepError: processes would go on from different checkpoints.
    """
    start = time.perf_counter()
    spec = settings.spec()
    network = build_network(spec, seed=settings.seed)
    identity = _identity_of(settings, split, teacher)
    if resume and (run_folder / CHECKPOINT).is_file():
        state = load_checkpoint(run_folder, settings=identity, network=network)
    else:
        state = TrainingState(settings=identity)
        _start_backbone(network, settings, split, teacher)
    _refuse_small_batches(spec, replicas)
    check_agreement(replicas, identity=identity, state=state, run_folder=run_folder)
    earlier_seconds = sum(float(row["seconds"]) for row in state.history)
    sources = TraineeMaker(split, settings, cache_folder, reporter, teacher)
    saver = _CheckpointSaver(folder=run_folder, state=state, network=network, replicas=replicas)
    while state.stage < len(spec.stages):
        stage = spec.stages[state.stage]
        learner = _network_of_size(network, spec, stage.image_size)
        trainee = sources.trainee(learner, stage, number=state.stage, batch_size=spec.batch_size)
        saver.network = learner
        fit_stage(trainee, stage, state=state, on_epoch=saver, reporter=reporter, replicas=replicas)
        assign_arrays(network, arrays_of(learner), source=None)
        state.begin_next_stage()
        saver.end_stage(network)
    return TrainingResult(
        network=network,
        history=tuple(state.history),
        seconds=time.perf_counter() - start + earlier_seconds,
    )


def score_split_sides(
    network: Any,
    split: DatasetSplit,
    settings: TrainingSettings,
    *,
    cache_folder: Path,
    reporter: Reporter,
) -> dict[str, PredictionSet]:
    """Scores of the training and validation side, through the activation cache where it is on.

    The test side is left to the plain path: what is reported on it owes nothing to a cache.
    """
    spec = settings.spec()
    stage = replace(spec.stages[-1], augmentation=None, image_size=IMAGE_SIZE)
    trainee = _trainee_of(network, split, settings, stage, cache_folder, reporter)
    return {
        side: make_prediction_set(records, score_batches(trainee.model, source))
        for side, records, source in (
            ("train", split.train, trainee.train),
            ("validation", split.validation, trainee.validation),
        )
    }


def score_validation(
    network: Any,
    split: DatasetSplit,
    settings: TrainingSettings,
    *,
    cache_folder: Path,
    reporter: Reporter,
) -> PredictionSet:
    """Scores of the validation side at the size of the last stage, as the training saw them."""
    spec = settings.spec()
    stage = spec.stages[-1]
    seen = _network_of_size(network, spec, stage.image_size)
    trainee = _trainee_of(seen, split, settings, stage, cache_folder, reporter)
    return make_prediction_set(split.validation, score_batches(trainee.model, trainee.validation))


def _trainee_of(
    network: Any,
    split: DatasetSplit,
    settings: TrainingSettings,
    stage: Stage,
    cache_folder: Path,
    reporter: Reporter,
) -> Trainee:
    spec = settings.spec()
    sources = TraineeMaker(split, settings, cache_folder, reporter)
    return sources.trainee(network, stage, number=len(spec.stages) - 1, batch_size=spec.batch_size)


@dataclass(slots=True, kw_only=True)
class _CheckpointSaver:
    """Called after every epoch; writes when enough time has passed, in the first process alone."""

    folder: Path
    state: TrainingState
    network: Any
    replicas: Replicas
    last: float = field(default_factory=time.monotonic)

    def __call__(self) -> None:
        if time.monotonic() - self.last >= CHECKPOINT_INTERVAL_SECONDS:
            self._write()

    def end_stage(self, network: Any) -> None:
        """Write what processes that may lose each other begin the next stage with."""
        self.network = network
        if self.replicas.processes > 1:
            self._write()

    def _write(self) -> None:
        if self.replicas.index == 0:
            save_checkpoint(self.folder, self.state, self.network)
        self.last = time.monotonic()


def _refuse_small_batches(spec: VariantSpec, replicas: Replicas) -> None:
    if spec.batch_size < replicas.total:
        raise EdgeMelanomaError(
            f"A batch of {spec.batch_size} cannot be shared by {replicas.total} devices; give a "
            f"--batch-size of at least {replicas.total}."
        )


def _network_of_size(network: Any, spec: VariantSpec, image_size: int) -> Any:
    """`network` itself where it has that input size, else one of its own with equal weights."""
    if network.input_shape[1] == image_size:
        return network
    other = build_network(spec, image_size=image_size)
    assign_arrays(other, arrays_of(network), source=None)
    return other


def _start_backbone(
    network: Any, settings: TrainingSettings, split: DatasetSplit, teacher: Teacher | None
) -> None:
    if teacher is not None and settings.weights == TEACHER_WEIGHTS:
        copy_backbone(network, teacher.run)
    else:
        load_backbone_weights(network, settings.weights)
    if settings.weights == "none":
        calibrate_batch_norm(network, _batch_norm_sample(split))


def _identity_of(settings: TrainingSettings, split: DatasetSplit, teacher: Teacher | None) -> str:
    """All that the weights depend on but the machine: a checkpoint fits one of these only."""
    weights = Path(settings.weights)
    recipe = asdict(settings.spec())
    # Scaling and rounding come after all checkpoints.
    del recipe["calibrated"], recipe["half_precision"]
    told = {
        "recipe": recipe,
        "seed": settings.seed,
        "cache": settings.use_cache,
        "weights": sha256_of(weights.read_bytes()) if weights.is_file() else settings.weights,
        "data": split.fingerprint,
        "teacher": teacher.run.sha256 if teacher else None,
    }
    if settings.deterministic:
        told["deterministic"] = True
    return json.dumps(told, sort_keys=True)


def _batch_norm_sample(split: DatasetSplit) -> NDArray[np.float32]:
    half = BATCH_NORM_IMAGES // 2
    benign = [record for record in split.train if not record.is_malignant][:half]
    malignant = [record for record in split.train if record.is_malignant][:half]
    return scale_pixels(np.stack([read_image(record.path) for record in [*benign, *malignant]]))
