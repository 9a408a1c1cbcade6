"""Ray's workers train what one process trains, whether or not one of them is killed by -9."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from made import hash_file
from safetensors import safe_open

from edge_melanoma.network.recipes import VARIANTS, Variant
from edge_melanoma.runs.models import MANIFEST, open_run
from edge_melanoma.runtime.names import Engine

Cli = Callable[..., Any]
SECONDS = 900.0
KILLED_AFTER = 3
"""Epochs: the training goes on from one of them."""
CHECKPOINT = "checkpoint.safetensors"
TOLERANCE = 1e-5
"""Of weights, which are sums of float32 in another order."""
NEEDS_RAY = pytest.mark.skipif(find_spec("ray") is None, reason="the extra [ray] is not installed")
"""Not by importing it: Ray reads its settings then."""


@pytest.fixture
def every_epoch_is_kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A checkpoint an epoch; deterministic operators are off again afterwards."""
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
@NEEDS_RAY
@pytest.mark.usefixtures("every_epoch_is_kept")
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


@pytest.mark.slow
@NEEDS_RAY
@pytest.mark.usefixtures("every_epoch_is_kept")
def test_two_workers_train_what_one_process_trains(phantoms: Path, tmp_path: Path) -> None:
    """Without dropout, of which each device draws its own masks."""
    from edge_melanoma.network.network import read_safetensors
    from edge_melanoma.training.material import Placement, TrainingSettings
    from edge_melanoma.training.session import train_variants

    recipe = replace(VARIANTS[Variant.FROZEN], dropout=0.0)
    settings = TrainingSettings(variant=Variant.FROZEN, weights="none", epochs=2, recipe=recipe)
    for placement in (Placement(), Placement(engine=Engine.RAY, workers=2)):
        out = tmp_path / placement.engine
        train_variants([phantoms], [settings], placement=placement, out=out)
    one, two = (read_safetensors(open_run(tmp_path / engine)) for engine in ("local", "ray"))
    assert max(float(np.abs(one[name] - two[name]).max()) for name in one) < TOLERANCE


def test_a_missing_extra_is_told_before_any_work(
    edge_melanoma: Cli, arguments: list[str | Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    result = edge_melanoma(*arguments, "--out", tmp_path / "run")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--engine ray needs the package ray, which is not installed" in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@NEEDS_RAY
def test_an_address_where_nobody_answers_is_told_before_any_work(
    edge_melanoma: Cli, arguments: list[str | Path], tmp_path: Path
) -> None:
    address = ("--address", "127.0.0.1:1")
    result = edge_melanoma(*arguments, *address, "--out", tmp_path / "run")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "No Ray cluster answers at --address 127.0.0.1:1" in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("others_are_due", [False, True])
def test_workers_read_the_weights_together_and_the_first_one_writes(
    tmp_path: Path, index: int, others_are_due: bool
) -> None:
    """TensorFlow reads some weights of all workers at once: one that reads alone waits."""
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    from edge_melanoma.training.checkpoints import CheckpointKeeper, TrainingState

    class Weight:
        name, reads = "layer/kernel:0", 0

        def numpy(self) -> Any:
            self.reads += 1
            return np.zeros(2, dtype=np.float32)

    weight = Weight()
    group: Any = SimpleNamespace(index=index, sum=lambda own: own + float(others_are_due))
    keeper = CheckpointKeeper(tmp_path, 1e9, devices=group)
    keeper.after_epoch(TrainingState(settings=""), SimpleNamespace(weights=[weight]))
    assert weight.reads == others_are_due
    assert (tmp_path / CHECKPOINT).is_file() == (others_are_due and index == 0)
    keeper.after_stage(TrainingState(settings=""), SimpleNamespace(weights=[weight]))
    assert (tmp_path / CHECKPOINT).is_file() == (index == 0)


def kill_a_worker(out: Path, killed: list[int]) -> None:
    """The last one that Ray has started below this process, once some epochs are kept."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and not (out / MANIFEST).is_file():
        workers = [pid for pid, name in descendants(os.getpid()) if "TrainWorker" in name]
        if workers and latest_epoch(out) >= KILLED_AFTER:
            os.kill(workers[-1], signal.SIGKILL)
            killed.append(workers[-1])
            return
        time.sleep(0.05)


def latest_epoch(out: Path) -> int:
    """Of the checkpoint, which is replaced atomically."""
    path = out / CHECKPOINT
    if not path.is_file():
        return 0
    with safe_open(path, framework="numpy") as file:
        epoch: int = json.loads(file.metadata()["state"])["epoch"]
    return epoch


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
