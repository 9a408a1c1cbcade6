"""Whether all processes of a training are at the same point of the same work, before it goes on."""

import hashlib
from pathlib import Path

import numpy as np

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.runs.folders import owner_of
from edge_melanoma.training.checkpoints import TrainingState
from edge_melanoma.training.replicas import Replicas

DIGEST_BYTES = 6
"""So that a digest is a whole number that float64 holds exactly."""


class OutOfStepError(Exception):
    """Processes read different checkpoints, one of them while it was being replaced."""


def check_agreement(
    replicas: Replicas, *, identity: str, state: TrainingState, run_folder: Path
) -> None:
    """Compare what every process was told, the run folder it sees, and the epoch it goes on from.

    Raises:
        EdgeMelanomaError: settings, images or run folder differ; raised in every process.
        OutOfStepError: the checkpoints differ; raised in every process.
    """
    own = [_digest(identity), _digest(owner_of(run_folder)), state.stage, state.epoch]
    width, processes = len(own), replicas.processes
    places = replicas.index * width + np.arange(width)
    gathered = replicas.gather(np.array(own, dtype=np.float64), places, rows=width * processes)
    table = gathered.reshape(processes, width)
    for column, told in (
        (0, "was given other settings or sees other images than worker 0; give all workers the "
            "same command and the same data"),
        (1, f"does not see {run_folder} as worker 0 does; --out must name one folder that all "
            f"workers share, to read checkpoints from"),
    ):  # fmt: skip
        differing = np.flatnonzero(table[:, column] != table[0, column])
        if differing.size:
            raise EdgeMelanomaError(f"Worker {differing[0]} {told}.")
    if np.any(table[:, 2:] != table[0, 2:]):
        raise OutOfStepError("the workers read different checkpoints")


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:DIGEST_BYTES], "big")
