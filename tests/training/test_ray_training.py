"""A worker of Ray is killed by -9 and replaced: the weights are those of a straight training."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from made import hash_file

from edge_melanoma.runs.models import MANIFEST, open_run

Cli = Callable[..., Any]
SECONDS = 900.0
KILLED_AFTER = 3
"""Checkpoints: the training goes on from one of them."""


@pytest.fixture(autouse=True)
def every_epoch_is_kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A checkpoint an epoch; deterministic operators are off again afterwards."""
    pytest.importorskip("ray", reason="the extra [ray] is not installed")
    from tensorflow.python.framework import config

    from edge_melanoma.training import checkpoints

    monkeypatch.setattr(checkpoints, "INTERVAL_SECONDS", 0.0)
    yield
    config.disable_op_determinism()


@pytest.fixture
def arguments(phantoms: Path, tmp_path: Path) -> list[str | Path]:
    words: list[str | Path] = ["train", "--data", phantoms, "--weights", "none", "--deterministic"]
    words += ["--variant", "frozen", "--epochs", "12", "--cache-dir", tmp_path / "cache"]
    return [*words, "--engine", "ray", "--workers", "2"]


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_the_weights_are_the_same(
    edge_melanoma: Cli, arguments: list[str | Path], tmp_path: Path
) -> None:
    straight = edge_melanoma(*arguments, "--out", tmp_path / "straight")
    assert straight.exit_code == 0, straight.stderr
    killed: list[int] = []
    out = tmp_path / "killed"
    killer = threading.Thread(target=kill_a_worker, args=(out, killed), daemon=True)
    killer.start()
    result = edge_melanoma(*arguments, "--out", out)
    killer.join()
    assert result.exit_code == 0, result.stderr
    assert len(killed) == 1
    hashes = {hash_file(tmp_path / name / "weights.safetensors") for name in ("straight", "killed")}
    assert len(hashes) == 1
    assert open_run(out).manifest["distribution"] == {
        "strategy": "ray",
        "workers": 2,
        "replicas": 2,
    }
    assert not (out / ".ray").exists()


def kill_a_worker(out: Path, killed: list[int]) -> None:
    """The last one that Ray has started below this process, once some epochs are kept."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and not (out / MANIFEST).is_file():
        if len(list(out.glob(".ray/checkpoint_*/*.safetensors"))) and not killed:
            workers = [pid for pid, name in descendants(os.getpid()) if "TrainWorker" in name]
            if workers and latest_epoch(out) >= KILLED_AFTER:
                os.kill(workers[-1], signal.SIGKILL)
                killed.append(workers[-1])
                return
        time.sleep(0.05)


def latest_epoch(out: Path) -> int:
    """Of the checkpoints that Ray has."""
    import json

    from safetensors import SafetensorError, safe_open

    epochs = [0]
    for path in out.glob(".ray/checkpoint_*/*.safetensors"):
        try:
            with safe_open(path, framework="numpy") as file:
                epochs.append(json.loads(file.metadata()["state"])["epoch"])
        except (SafetensorError, OSError):
            continue
    return max(epochs)


def descendants(ancestor: int) -> list[tuple[int, str]]:
    """Processes below one, and the names that they have given themselves."""
    parents, names = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            names[int(path.name)] = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    found = []
    for pid in sorted(parents):
        above: int | None = pid
        while above not in {None, ancestor}:
            above = parents.get(above or 0)
        if above == ancestor and pid != ancestor:
            found.append((pid, names.get(pid, "")))
    return found
