"""A training spread over processes by Ray: a worker that is lost is replaced, and all go on.

The workers take the steps of one process together and begin again at the last checkpoint, which
the first of them reports. So the weights are those of a training in which no worker was lost.
"""

import pickle
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_melanoma.data.splits import DatasetSplit
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import write_atomically
from edge_melanoma.machine.ray import ACTOR_CPUS, connect
from edge_melanoma.machine.terminal import Reporter, SilentReporter
from edge_melanoma.training.material import Teacher, TrainingSettings

if TYPE_CHECKING:
    # Ray's controller imports this module and has no use for TensorFlow.
    from edge_melanoma.training.devices import Placement
    from edge_melanoma.training.training import TrainingResult

FOLDER = ".ray"
"""In the run folder, which all machines see: what Ray keeps while it trains."""

MOST_FAILURES = 10
"""After so many lost workers a training ends; its checkpoint stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a worker is given; `start` is a checkpoint to begin from."""

    split: DatasetSplit
    settings: TrainingSettings
    teacher: Teacher | None
    cache_folder: Path
    start: bytes | None
    interval_seconds: float


def train_on_ray(
    split: DatasetSplit,
    settings: TrainingSettings,
    *,
    run_folder: Path,
    cache_folder: Path,
    reporter: Reporter,
    teacher: Teacher | None,
    resume: bool,
    placement: "Placement",
) -> "TrainingResult":
    """What `train_network` gives, trained by the workers of `placement`.

    The run folder has to be one that all machines of a cluster see, and so have the pictures.

    Raises:
        EdgeMelanomaError: as `train_network`, or workers were lost too often.
    """
    from edge_melanoma.training import checkpoints
    from edge_melanoma.training.callbacks import describe_epoch
    from edge_melanoma.training.training import train_network

    kept, start = run_folder.resolve() / FOLDER, run_folder / checkpoints.CHECKPOINT
    if resume:
        _keep_last(kept, start)
    else:
        start.unlink(missing_ok=True)
    shutil.rmtree(kept, ignore_errors=True)
    job = Job(
        split=split,
        settings=settings,
        teacher=teacher,
        cache_folder=cache_folder.resolve(),
        start=start.read_bytes() if start.is_file() else None,
        interval_seconds=checkpoints.INTERVAL_SECONDS,
    )
    reporter.say(f"Training by {placement.workers} workers of Ray")
    try:
        _run(job, kept, placement)
    finally:
        _keep_last(kept, start)
        shutil.rmtree(kept, ignore_errors=True)
    result = train_network(
        split,
        settings,
        run_folder=run_folder,
        cache_folder=cache_folder,
        reporter=reporter,
        teacher=teacher,
        resume=True,
    )
    for row in result.history:
        stage = next(one for one in settings.spec().stages if one.name == row["stage"])
        reporter.say(describe_epoch(row, epochs=stage.epochs))
    return result


def _run(job: Job, kept: Path, placement: "Placement") -> None:
    with connect(placement.address, workers=placement.workers):
        from ray.train import (
            CheckpointConfig,
            FailureConfig,
            RunConfig,
            ScalingConfig,
            TrainingFailedError,
        )
        from ray.train.tensorflow import TensorflowTrainer

        trainer = TensorflowTrainer(
            _train_on_worker,
            train_loop_config={"job": pickle.dumps(job)},
            scaling_config=ScalingConfig(
                num_workers=placement.workers, resources_per_worker={"CPU": ACTOR_CPUS}
            ),
            run_config=RunConfig(
                name=kept.name,
                storage_path=str(kept.parent),
                failure_config=FailureConfig(max_failures=MOST_FAILURES),
                checkpoint_config=CheckpointConfig(num_to_keep=2),
            ),
        )
        try:
            trainer.fit()
        except TrainingFailedError as error:
            raise _reason(error) from error


def _reason(error: Exception) -> Exception:
    """What the user can mend, if that ended the workers."""
    for failure in getattr(error, "worker_failures", {}).values():
        cause: BaseException | None = failure
        while cause is not None:
            if isinstance(cause, EdgeMelanomaError):
                return cause
            cause = getattr(cause, "cause", None) or cause.__cause__
    return error


def _train_on_worker(config: dict[str, bytes]) -> None:
    from ray import train

    from edge_melanoma.machine.tensorflow import make_deterministic, tf
    from edge_melanoma.training.checkpoints import CHECKPOINT, ReportedCheckpoints
    from edge_melanoma.training.devices import Devices
    from edge_melanoma.training.training import train_network

    job: Job = pickle.loads(config["job"])
    context = train.get_context()
    # Before anything else of TensorFlow: it takes no others into a group later.
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    if job.settings.deterministic:
        make_deterministic(job.settings.seed)
    workers, index = context.get_world_size(), context.get_world_rank()
    local = strategy.num_replicas_in_sync // workers
    devices = Devices(strategy=strategy, local=local, workers=workers, index=index)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if job.start is not None:
            write_atomically(folder / CHECKPOINT, job.start)
        if (reported := train.get_checkpoint()) is not None:
            reported.to_directory(folder)
        train_network(
            job.split,
            job.settings,
            run_folder=folder,
            cache_folder=job.cache_folder,
            reporter=SilentReporter(),
            teacher=job.teacher,
            resume=True,
            devices=devices,
            keeper=ReportedCheckpoints(folder, job.interval_seconds, is_first=index == 0),
        )


def _keep_last(kept: Path, target: Path) -> None:
    """Put the last whole checkpoint that Ray has where every other training looks for it."""
    from safetensors import SafetensorError, safe_open

    for path in sorted(kept.glob(f"*/{target.name}"), reverse=True):
        try:
            with safe_open(path, framework="numpy"):
                write_atomically(target, path.read_bytes())
                return
        except SafetensorError:  # cut off while it was copied
            continue
