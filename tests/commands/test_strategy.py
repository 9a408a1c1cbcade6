"""Two devices of one machine train what one trains, and epochs and batches are shared evenly."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_melanoma.machine.schemas import read_json

Cli = Callable[..., Any]
SECONDS = 280.0
MIRRORED_STEPS = Path(__file__).parents[1] / "mirrored_steps.py"


@pytest.fixture
def arguments(phantoms: Path, tmp_path: Path) -> list[str | Path]:
    """The same training for one process and for two."""
    words: list[str | Path] = ["--data", phantoms, "--weights", "none", "--cache-dir"]
    return [*words, tmp_path / "cache"]


@pytest.mark.thorough
def test_two_devices_take_the_steps_of_one() -> None:
    """All layers, batch norm and its moving statistics among them, in float64."""
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


def train_on_two(arguments: list[str | Path], out: Path) -> subprocess.CompletedProcess[str]:
    code = "import mirrored_steps; mirrored_steps.make_two_devices()\n"
    code += "from edge_melanoma import cli; cli.run()"
    command = [sys.executable, "-c", code, "train", *map(str, arguments), "--strategy", "mirrored"]
    return subprocess.run(
        [*command, "--out", str(out)],
        timeout=SECONDS,
        cwd=MIRRORED_STEPS.parent,
        capture_output=True,
        text=True,
    )


@pytest.mark.thorough
def test_two_devices_of_one_process_train_a_run(
    arguments: list[str | Path], tmp_path: Path
) -> None:
    training = [*arguments, "--variant", "frozen", "--epochs", "2"]
    done = train_on_two(training, tmp_path / "two")
    assert done.returncode == 0, done.stderr
    manifest = read_json(tmp_path / "two" / "manifest.json")
    assert manifest["distribution"] == {"strategy": "mirrored", "workers": 1, "replicas": 2}
    assert "head 2/2: validation recall" in done.stderr


def test_a_batch_that_cannot_be_shared_evenly_is_refused(
    arguments: list[str | Path], tmp_path: Path
) -> None:
    done = train_on_two([*arguments, "--batch-size", "7"], tmp_path / "two")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == (
        "edge-melanoma: A batch of 7 cannot be shared evenly by 2 devices; give a --batch-size "
        "that is a multiple of 2."
    )
