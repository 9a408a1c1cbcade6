"""One of several workers of a training: a child process trains, and is begun anew if one is lost.

TensorFlow cannot take a new worker into a group that has formed, and may end the processes that are
left. So the command only watches: its child trains together with those of the other workers, up to
a checkpoint of the finished training, and whenever one of them ends too early all children begin
again from the last checkpoint. The first worker then does what is left by itself.
"""

import multiprocessing
import os
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.processes import describe_death, live_with_parent
from edge_melanoma.machine.terminal import Reporter, TerminalReporter
from edge_melanoma.runs.models import MANIFEST
from edge_melanoma.training.checkpoints import CHECKPOINT, is_finished
from edge_melanoma.training.session import TrainingOrder
from edge_melanoma.training.workers import PATIENCE_SECONDS, Cluster

MOST_RESTARTS = 10
"""In a row, without a new checkpoint between them."""

PAUSE_SECONDS = 2.0
USER_ERROR, PEER_LOST = 2, 75
"""How a child ends; the second as sysexits.h has it: try again."""


def train_among_workers(order: TrainingOrder, cluster: Cluster, folder: Path) -> None:
    """Let a child train until the training is finished; `folder` is the run's.

    Raises:
        EdgeMelanomaError: it ended too early too often, or the other workers did not come.
        SystemExit: what the user has to mend; the child has told it.
    """
    reporter = TerminalReporter()
    stages = len(order.settings(order.variants[0]).spec().stages)
    failures, seen = 0, _stamp_of(folder)
    while not _is_over(folder, stages=stages):
        code = _run_child(order, cluster, folder)
        if code == 0:
            return
        if code == USER_ERROR:
            sys.exit(USER_ERROR)
        if code == 1:
            raise RuntimeError("the training failed; its traceback stands above")
        failures = failures + 1 if _stamp_of(folder) == seen else 1
        seen = _stamp_of(folder)
        if failures > MOST_RESTARTS:
            raise EdgeMelanomaError(
                f"Worker {cluster.index} was begun {failures} times without a new checkpoint in "
                f"{folder}; see to the other workers ({', '.join(cluster.addresses)}) and start "
                f"all again."
            )
        reporter.say(
            f"{_reason(code)}; worker {cluster.index} begins again at the last checkpoint "
            f"({failures} of {MOST_RESTARTS})"
        )
        time.sleep(PAUSE_SECONDS)


def _run_child(order: TrainingOrder, cluster: Cluster, folder: Path) -> int:
    """The exit code of a fresh process that trains; negative for a signal.

    Raises:
        EdgeMelanomaError: the other workers did not come in time.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_train_in_child, args=(there, order, cluster, folder))
    process.start()
    there.close()
    try:
        # Something can be read when the child has joined the others, and when it has ended.
        if not here.poll(PATIENCE_SECONDS):
            raise EdgeMelanomaError(
                f"Worker {cluster.index} waited {PATIENCE_SECONDS:g} s for the others of "
                f"{', '.join(cluster.addresses)}; start all within that time, and see that they "
                f"reach each other."
            )
        process.join()
    finally:
        if process.is_alive():
            process.kill()
            process.join()
        here.close()
    return process.exitcode or 0


def _train_in_child(
    joined: Connection, order: TrainingOrder, cluster: Cluster, folder: Path
) -> None:
    """End at once, in whatever state TensorFlow is: the checkpoint is all that counts."""
    live_with_parent()
    code = 1
    try:
        code = _train(joined, order, cluster, folder)
    except EdgeMelanomaError as error:
        print(f"edge-melanoma: {error}", file=sys.stderr)
        code = USER_ERROR
    except Exception:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _train(joined: Connection, order: TrainingOrder, cluster: Cluster, folder: Path) -> int:
    from edge_melanoma.machine.tensorflow import tf
    from edge_melanoma.training.agreement import OutOfStepError
    from edge_melanoma.training.replicas import join_workers

    reporter = TerminalReporter()
    try:
        reporter.say(f"Worker {cluster.index} waits for all {len(cluster.addresses)} workers")
        replicas = join_workers(cluster)
        joined.send(True)
        _train_together(order, folder, replicas, reporter)
    except (tf.errors.OpError, OutOfStepError):
        return PEER_LOST
    return 0


def _train_together(order: TrainingOrder, folder: Path, replicas: Any, reporter: Reporter) -> None:
    from edge_melanoma.training.activations import default_cache_folder
    from edge_melanoma.training.session import gather_material, open_teacher, read_records
    from edge_melanoma.training.training import train_network

    material = gather_material(order, read_records(order, reporter), open_teacher(order), reporter)
    train_network(
        material.split,
        order.settings(order.variants[0]),
        run_folder=folder,
        cache_folder=order.cache_folder or default_cache_folder(),
        reporter=reporter,
        teacher=material.teacher,
        resume=True,
        replicas=replicas,
    )


def _reason(code: int) -> str:
    if code == PEER_LOST:
        return "A worker was lost, or did not come"
    return f"The training process died {describe_death(code)}"


def _is_over(folder: Path, *, stages: int) -> bool:
    """Whether there is nothing left to train: a worker that comes late waits for nobody."""
    return (folder / MANIFEST).is_file() or is_finished(folder, stages=stages)


def _stamp_of(folder: Path) -> int:
    """Changes with every checkpoint."""
    path = folder / CHECKPOINT
    return path.stat().st_mtime_ns if path.is_file() else 0
