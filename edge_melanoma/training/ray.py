"""A training spread over processes by Ray: a worker that is lost is replaced, and all go on.

The workers take the steps of one process together and begin again at the last checkpoint, which
the first of them writes. So the weights are those of a training in which no worker was lost.
"""

import shutil
from pathlib import Path
from typing import Any

from edge_melanoma.data.splits import DatasetSplit
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import write_atomically
from edge_melanoma.machine.ray import ACTOR_CPUS
from edge_melanoma.machine.tensorflow import make_deterministic, tf
from edge_melanoma.machine.terminal import Reporter, SilentReporter
from edge_melanoma.training import checkpoints
from edge_melanoma.training.callbacks import describe_epoch
from edge_melanoma.training.devices import Devices
from edge_melanoma.training.material import Placement, Teacher, TrainingSettings
from edge_melanoma.training.training import TrainingResult, refuse_uneven_batches, train_network

FOLDER, REASON = ".ray", "reason.txt"
"""In the run folder, which all machines see: Ray's own records, and what a worker cannot mend."""

MOST_FAILURES = 10
"""After so many lost workers a training ends; its checkpoint stays."""


def train_on_ray(
    split: DatasetSplit,
    settings: TrainingSettings,
    *,
    run_folder: Path,
    cache_folder: Path,
    reporter: Reporter,
    teacher: Teacher | None,
    resume: bool,
    placement: Placement,
) -> TrainingResult:
    """What `train_network` gives, trained by the workers of `placement`, whose Ray is running.

    The run folder has to be one that all machines of a cluster see, and so have the pictures. Where
    workers are lost too often, Ray raises its TrainingFailedError.
    """
    spec, folder = settings.spec(), run_folder.resolve()
    refuse_uneven_batches(spec, devices=placement.workers)
    if not resume:
        (folder / checkpoints.CHECKPOINT).unlink(missing_ok=True)
    arguments: dict[str, Any] = {
        "split": split,
        "settings": settings,
        "run_folder": folder,
        "cache_folder": cache_folder.resolve(),
        "teacher": teacher,
        "resume": True,
    }
    reporter.say(f"Training by {placement.workers} workers of Ray")
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    try:
        _run_workers(arguments, folder=folder, workers=placement.workers)
    finally:
        shutil.rmtree(folder / FOLDER, ignore_errors=True)
    result = train_network(**arguments, reporter=reporter)
    epochs = {stage.name: stage.epochs for stage in spec.stages}
    for row in result.history:
        reporter.say(describe_epoch(row, epochs=epochs[str(row["stage"])]))
    return result


def _run_workers(arguments: dict[str, Any], *, folder: Path, workers: int) -> None:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.tensorflow import TensorflowTrainer

    config = {"arguments": arguments, "interval_seconds": checkpoints.INTERVAL_SECONDS}
    trainer = TensorflowTrainer(
        _train_on_worker,
        train_loop_config=config,
        scaling_config=ScalingConfig(num_workers=workers, resources_per_worker={"CPU": ACTOR_CPUS}),
        run_config=RunConfig(
            name=FOLDER,
            storage_path=str(folder),
            failure_config=FailureConfig(max_failures=MOST_FAILURES),
        ),
    )
    # Its own handler of Ctrl-C waits for workers that are being started, and exits with 0.
    trainer._register_sigint_handler = lambda controller: None
    trainer.fit()
    reason = folder / FOLDER / REASON
    if reason.is_file():
        raise EdgeMelanomaError(reason.read_text(encoding="utf-8"))


def _train_on_worker(config: dict[str, Any]) -> None:
    """Train this worker's share, and write checkpoints if it is the first.

    Ray begins all workers again after any error. What only the user can mend they find written
    down then, and end.
    """
    from ray import train

    arguments = config["arguments"]
    folder, settings = arguments["run_folder"], arguments["settings"]
    reason = folder / FOLDER / REASON
    if reason.is_file():
        return
    # Before anything else of TensorFlow: it takes no others into a group later.
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    if settings.deterministic:
        make_deterministic(settings.seed)
    workers = train.get_context().get_world_size()
    devices = Devices(
        strategy=strategy,
        local=strategy.num_replicas_in_sync // workers,
        workers=workers,
        index=train.get_context().get_world_rank(),
    )
    seconds = config["interval_seconds"]
    keeper = checkpoints.CheckpointKeeper(folder, seconds, devices=devices)
    try:
        train_network(**arguments, reporter=SilentReporter(), devices=devices, keeper=keeper)
    except EdgeMelanomaError as error:
        write_atomically(reason, str(error).encode())
        raise
