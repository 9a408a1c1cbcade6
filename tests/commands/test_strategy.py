"""Two real workers train what one process trains, whether or not one of them is killed."""

import json
import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from worker_processes import free_ports, two_workers

from edge_melanoma.evaluation.predictions import read_predictions
from edge_melanoma.machine.files import read_json
from edge_melanoma.network.network import read_safetensors
from edge_melanoma.runs.models import open_run

Cli = Callable[..., Any]
SECONDS = 280.0
MIRRORED_STEPS = Path(__file__).parents[1] / "mirrored_steps.py"
TOLERANCE = 1e-5
"""Of weights, which are sums of float32 in another order."""


@pytest.fixture
def arguments(phantoms: Path, tmp_path: Path) -> list[str | Path]:
    """The same training for one process and for two."""
    words: list[str | Path] = ["--data", phantoms, "--weights", "none", "--cache-dir"]
    return [*words, tmp_path / "cache"]


def config_of(*, worker: int) -> str:
    """TF_CONFIG of one of two workers on this machine."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    return json.dumps(
        {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": worker}}
    )


def assert_equal_runs(one: Path, other: Path) -> None:
    first, second = (read_safetensors(open_run(run)) for run in (one, other))
    assert max(float(np.abs(first[name] - second[name]).max()) for name in first) < TOLERANCE
    before, after = (read_predictions(run / "predictions_test.csv") for run in (one, other))
    assert before.image_ids == after.image_ids
    decided = before.decisions(threshold=open_run(one).threshold)
    assert np.array_equal(decided, after.decisions(threshold=open_run(other).threshold))


def test_two_workers_train_what_one_process_trains(
    edge_melanoma: Cli,
    arguments: list[str | Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    training = [*arguments, "--variant", "frozen", "--epochs", "2"]
    with two_workers(training, out=tmp_path / "two") as workers:
        assert edge_melanoma("train", *training, "--out", tmp_path / "one").exit_code == 0
        assert workers.wait(SECONDS) == [0, 0], workers.said(0) + workers.said(1)
    assert_equal_runs(tmp_path / "one", tmp_path / "two")
    manifest = read_json(tmp_path / "two" / "manifest.json")
    assert manifest["distribution"] == {"strategy": "multiworker", "workers": 2, "replicas": 2}
    assert read_json(tmp_path / "one" / "manifest.json")["distribution"] is None
    with monkeypatch.context() as late:
        late.setenv("TF_CONFIG", config_of(worker=1))
        out = ("--out", tmp_path / "two", "--strategy", "multiworker")
        again = edge_melanoma("train", *training, *out)
    assert again.exit_code == 0, again.stderr
    assert "waits for all" not in again.stderr


@pytest.mark.parametrize("worker", [0, 1])
def test_a_worker_whose_others_do_not_come_says_so(
    edge_melanoma: Cli,
    arguments: list[str | Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    worker: int,
) -> None:
    from edge_melanoma.training import worker_run

    monkeypatch.setattr(worker_run, "PATIENCE_SECONDS", 1.0)
    monkeypatch.setenv("TF_CONFIG", config_of(worker=worker))
    out = ("--out", tmp_path / "two", "--strategy", "multiworker")
    result = edge_melanoma("train", *arguments, *out)
    assert result.exit_code == 2
    assert f"Worker {worker} waited 1 s for the others of 127.0.0.1:" in result.stderr
    assert multiprocessing.active_children() == []


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_worker_may_be_killed_and_started_again(
    edge_melanoma: Cli, arguments: list[str | Path], tmp_path: Path, victim: int
) -> None:
    training = [*arguments, "--variant", "frozen", "--epochs", "300"]
    with two_workers(training, out=tmp_path / "two") as workers:
        workers.wait_for(tmp_path / "two" / "checkpoint.safetensors", SECONDS)
        workers.kill(victim)
        assert workers.wait(SECONDS) == [0, 0], workers.said(0) + workers.said(1)
        assert "begins again at the last checkpoint" in workers.said(1 - victim)
    edge_melanoma("train", *training, "--out", tmp_path / "one")
    assert_equal_runs(tmp_path / "one", tmp_path / "two")


def test_two_devices_take_the_steps_of_one() -> None:
    """All layers, batch norm and its moving statistics and dropout among them, in float64."""
    done = subprocess.run(
        [sys.executable, MIRRORED_STEPS],
        check=True,
        timeout=SECONDS,
        capture_output=True,
        text=True,
    )
    told = json.loads(done.stdout)
    assert told["moved"] > 1e-4
    assert told["difference"] < 1e-7


def test_two_devices_of_one_process_train_what_one_trains(
    edge_melanoma: Cli, arguments: list[str | Path], tmp_path: Path
) -> None:
    training = [*map(str, arguments), "--variant", "frozen", "--epochs", "2"]
    code = "import mirrored_steps; mirrored_steps.make_two_devices()\n"
    code += "from edge_melanoma import cli; cli.run()"
    command = [sys.executable, "-c", code, "train", *training, "--strategy", "mirrored"]
    subprocess.run(
        [*command, "--out", str(tmp_path / "two")],
        check=True,
        timeout=SECONDS,
        cwd=MIRRORED_STEPS.parent,
    )
    edge_melanoma("train", *training, "--out", tmp_path / "one")
    manifest = read_json(tmp_path / "two" / "manifest.json")
    assert manifest["distribution"] == {"strategy": "mirrored", "workers": 1, "replicas": 2}
    assert_equal_runs(tmp_path / "one", tmp_path / "two")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "--strategy multiworker needs --out DIR"),
        (("--out", "run", "--variant", "all"), "trains one variant at a time"),
        (("--out", "run", "--force"), "--force would begin anew"),
    ],
)
def test_what_workers_cannot_do_is_refused(
    edge_melanoma: Cli,
    arguments: list[str | Path],
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    sentence: str,
) -> None:
    monkeypatch.setenv(
        "TF_CONFIG",
        '{"cluster": {"worker": ["127.0.0.1:1"]}, "task": {"type": "worker", "index": 0}}',
    )
    result = edge_melanoma("train", *arguments, "--strategy", "multiworker", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
