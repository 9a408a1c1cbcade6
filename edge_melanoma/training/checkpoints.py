"""The state of an unfinished training, in one safetensors file that is replaced atomically.

Holds the network, the optimizer, the best weights so far and the history, so that a training that
was stopped goes on as if it had not been.
"""

import json
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import write_atomically
from edge_melanoma.network.network import arrays_of, assign_arrays
from edge_melanoma.training.devices import ALONE, Devices

CHECKPOINT = "checkpoint.safetensors"
INTERVAL_SECONDS = 20.0
"""Epochs on cached features take a second: writing 10 MB after each would be half of the work."""

TOLD = ("settings", "stage", "epoch", "history", "best_loss", "epochs_since_best")
GROUPS = ("best", "optimizer", "average")
"""Of a state: what a checkpoint holds as JSON, and whose arrays."""

HistoryRow = dict[str, float | int | str]
Arrays = dict[str, NDArray[np.float32]]


@dataclass(slots=True, kw_only=True)
class TrainingState:
    """Where a training stands: `stage` and `epoch` are the next to run, both counted from 0."""

    settings: str
    stage: int = 0
    epoch: int = 0
    history: list[HistoryRow] = field(default_factory=list)
    best_loss: float | None = None
    epochs_since_best: int = 0
    best_arrays: Arrays = field(default_factory=dict)
    optimizer_arrays: Arrays = field(default_factory=dict)
    average_arrays: Arrays = field(default_factory=dict)

    def next_stage(self) -> "TrainingState":
        """Without what belongs to one stage alone."""
        return TrainingState(settings=self.settings, stage=self.stage + 1, history=self.history)


class CheckpointKeeper:
    """Writes a training's state into its run folder after an epoch, when enough time has passed.

    Processes that train together all come here together: the first one writes, all may read.
    """

    def __init__(
        self, folder: Path, interval_seconds: float | None = None, *, devices: Devices = ALONE
    ) -> None:
        self._folder, self._devices = folder, devices
        self._interval = INTERVAL_SECONDS if interval_seconds is None else interval_seconds
        self._last = time.monotonic()

    def after_epoch(self, state: TrainingState, network: Any) -> None:
        """Keep the state if it is time for any of them; `network` is what the stage trains."""
        is_due = time.monotonic() - self._last >= self._interval
        if self._devices.sum(np.array(is_due, dtype=np.float64)):
            self._write(state, network)

    def after_stage(self, state: TrainingState, network: Any) -> None:
        """Keep what others go on from; alone, the last epoch's checkpoint leads here."""
        if self._devices is not ALONE:
            self._write(state, network)

    def _write(self, state: TrainingState, network: Any) -> None:
        if self._devices.index == 0:
            save_checkpoint(self._folder, state, network)
        else:
            # TensorFlow reads the statistics of batch norm of all workers at once.
            arrays_of(network)
        self._last = time.monotonic()


def save_checkpoint(folder: Path, state: TrainingState, network: Any) -> None:
    """Write the state and the network's present weights."""
    from safetensors.numpy import save

    groups = {"network": arrays_of(network)}
    groups |= {group: getattr(state, f"{group}_arrays") for group in GROUPS}
    arrays = {
        f"{group}:{name}": np.asarray(array)
        for group, members in groups.items()
        for name, array in members.items()
    }
    told = {name: getattr(state, name) for name in TOLD}
    write_atomically(folder / CHECKPOINT, save(arrays, metadata={"state": json.dumps(told)}))


def load_checkpoint(folder: Path, *, settings: str, network: Any) -> TrainingState:
    """The state that `save_checkpoint` wrote, its weights put into `network`.

    Raises:
        EdgeMelanomaError: the checkpoint belongs to other settings or other data.
    """
    from safetensors import safe_open

    path = folder / CHECKPOINT
    groups: defaultdict[str, Arrays] = defaultdict(dict)
    with safe_open(path, framework="numpy") as file:
        told = json.loads(file.metadata()["state"])
        for key in file.keys():  # noqa: SIM118  (safe_open is no mapping)
            group, _, name = key.partition(":")
            groups[group][name] = file.get_tensor(key)
    if told["settings"] != settings:
        raise EdgeMelanomaError(
            f"{path} was made with other settings or other images; "
            f"repeat the command that began it, or start anew with --force."
        )
    assign_arrays(network, groups["network"], source=path)
    return TrainingState(**told | {f"{group}_arrays": groups[group] for group in GROUPS})
