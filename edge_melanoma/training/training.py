"""From a data split and a recipe to trained weights: settings in, network and history out."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edge_melanoma.data.images import IMAGE_SIZE, read_image, scale_pixels
from edge_melanoma.data.splits import DatasetSplit
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import PredictionSet, make_prediction_set
from edge_melanoma.machine.tensorflow import tf_keras
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.network.network import (
    arrays_of,
    assign_arrays,
    build_network,
    calibrate_batch_norm,
    compile_forward,
    without_diagnoses,
)
from edge_melanoma.network.recipes import TEACHER_WEIGHTS, VariantSpec
from edge_melanoma.network.starting_weights import copy_backbone, load_backbone_weights
from edge_melanoma.training import checkpoints
from edge_melanoma.training.callbacks import score
from edge_melanoma.training.devices import ALONE, Devices
from edge_melanoma.training.fit import fit_stage
from edge_melanoma.training.material import Teacher, TrainingSettings, identity_of
from edge_melanoma.training.trainee import TraineeMaker, is_varied

BATCH_NORM_IMAGES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """A trained network (tf_keras), the epochs that made it, and the wall time in seconds."""

    network: Any
    history: tuple[checkpoints.HistoryRow, ...]
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
    devices: Devices = ALONE,
    keeper: checkpoints.CheckpointKeeper | None = None,
    tensorboard: Path | None = None,
    callbacks: tuple[Any, ...] = (),
) -> TrainingResult:
    """Run every stage of the variant; `keeper` is told of each epoch, that of `run_folder` if none.

    The time includes the finished epochs of an interrupted part, not its preparation. With another
    number of devices, a checkpoint is gone on with as well. `tensorboard` receives Keras' logs;
    `callbacks` are Keras' own, and see every stage.

    Raises:
        EdgeMelanomaError: the devices cannot share a batch evenly, or a checkpoint is of another
            training.
    """
    start = time.perf_counter()
    spec = settings.spec()
    refuse_uneven_batches(spec, devices=devices.total)
    build = partial(build_network, spec, names_diagnoses=spec.diagnosis_loss > 0)
    network = build(seed=settings.seed)
    identity = identity_of(settings, split, teacher)
    if resume and (run_folder / checkpoints.CHECKPOINT).is_file():
        state = checkpoints.load_checkpoint(run_folder, settings=identity, network=network)
    else:
        state = checkpoints.TrainingState(settings=identity)
        _start_backbone(without_diagnoses(network), settings, split, teacher)
    earlier_seconds = sum(float(row["seconds"]) for row in state.history)
    maker = TraineeMaker(split, settings, cache_folder, reporter, teacher)
    keeper = keeper or checkpoints.CheckpointKeeper(run_folder)
    while state.stage < len(spec.stages):
        stage = spec.stages[state.stage]
        watching = callbacks
        if tensorboard is not None:
            logs = tensorboard / f"{state.stage + 1} {stage.name}"
            watching = (*callbacks, tf_keras.callbacks.TensorBoard(logs, write_graph=False))
        learner = _learner_of(network, build, stage.image_size, devices)
        fit_stage(
            maker.trainee(learner, stage, number=state.stage, plain=network, devices=devices),
            state=state,
            on_epoch=partial(keeper.after_epoch, state, learner),
            reporter=reporter,
            devices=devices,
            callbacks=watching,
        )
        assign_arrays(network, arrays_of(learner), source=None)
        state = state.next_stage()
        keeper.after_stage(state, network)
    return TrainingResult(
        network=without_diagnoses(network),
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
    stages = settings.spec().stages
    if is_varied(stages[-1]):
        # The frozen part is short there, and what it gives is large.
        settings = replace(settings, use_cache=False)
    stage = replace(stages[-1], augmentation=None, image_size=IMAGE_SIZE)
    maker = TraineeMaker(split, settings, cache_folder, reporter)
    trainee = maker.trainee(network, stage, number=len(stages) - 1)
    forward = compile_forward(trainee.model)
    return {
        "train": make_prediction_set(split.train, score(forward, trainee.train)),
        "validation": make_prediction_set(split.validation, score(forward, trainee.validation)),
    }


def refuse_uneven_batches(spec: VariantSpec, *, devices: int) -> None:
    """Ask for batches that `devices` can share evenly."""
    if spec.batch_size % devices:
        raise EdgeMelanomaError(
            f"A batch of {spec.batch_size} cannot be shared evenly by {devices} devices; "
            f"give a --batch-size that is a multiple of {devices}."
        )


def _learner_of(network: Any, build: Callable[..., Any], size: int, devices: Devices) -> Any:
    """`network` itself where it fits, else one of that size for all devices with equal weights."""
    if devices.strategy is None and network.input_shape[1] == size:
        return network
    with devices.scope():
        learner = build(image_size=size)
    assign_arrays(learner, arrays_of(network), source=None)
    return learner


def _start_backbone(
    network: Any, settings: TrainingSettings, split: DatasetSplit, teacher: Teacher | None
) -> None:
    if teacher is not None and settings.weights == TEACHER_WEIGHTS:
        copy_backbone(network, teacher.run)
    else:
        load_backbone_weights(network, settings.weights)
    if settings.weights == "none":
        half = BATCH_NORM_IMAGES // 2
        benign = [record for record in split.train if not record.is_malignant][:half]
        malignant = [record for record in split.train if record.is_malignant][:half]
        pictures = [read_image(record.path) for record in [*benign, *malignant]]
        calibrate_batch_norm(network, scale_pixels(np.stack(pictures)))
