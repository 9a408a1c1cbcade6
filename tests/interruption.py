"""A training that is killed between two epochs and then resumed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

T = TypeVar("T")


class KilledError(Exception):
    """Stands for the end of a process between two epochs."""


def resume_after_death(train: Callable[..., T], folder: Path, monkeypatch: pytest.MonkeyPatch) -> T:
    """What `train(folder, resume=True)` gives after a death in the second stage's first epoch.

    A checkpoint is written after every epoch; the process dies right after that one.
    """
    from edge_melanoma.training import checkpoints

    save_checkpoint = checkpoints.save_checkpoint

    def save_and_die(folder: Path, state: Any, network: Any) -> None:
        save_checkpoint(folder, state, network)
        if (state.stage, state.epoch) == (1, 1):
            raise KilledError

    monkeypatch.setattr(checkpoints, "INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "save_checkpoint", save_and_die)
    with pytest.raises(KilledError):
        train(folder, resume=False)
    monkeypatch.setattr(checkpoints, "save_checkpoint", save_checkpoint)
    return train(folder, resume=True)
