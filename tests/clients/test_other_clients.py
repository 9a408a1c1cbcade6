"""The runs of the browser and of other interpreters: slow, since they install what they need."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

CLIENTS = Path(__file__).parent
ROOT = CLIENTS.parents[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "dtype"),
    [
        ("web/web_run.py", "uint8"),
        ("interpreters/tfjs_client.py", "uint8"),
        ("interpreters/mediapipe_client.py", "uint8"),
        ("interpreters/arm64_client.py", "int8"),
    ],
)
def test_a_client_gives_pythons_outputs(script: str, dtype: str) -> None:
    done = subprocess.run(
        [sys.executable, CLIENTS / script], capture_output=True, text=True, timeout=1800
    )
    if done.returncode == 2 and "apt-get install" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert rows
    assert all(row["equal"] == row["pictures"] and row["input"] == dtype for row in rows)


@pytest.mark.slow
def test_the_newest_interpreters_say_how_far_they_are_from_today_s() -> None:
    done = subprocess.run(
        [sys.executable, CLIENTS / "interpreters/litert_client.py"],
        capture_output=True,
        text=True,
        timeout=1800,
    )
    if done.returncode == 2:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"version", "equal", "decision_flips"} <= rows[0].keys()
    # A step is 1/256: more than a few of them is another model, not another rounding.
    assert all(row["largest_difference_steps"] < 16 for row in rows)


@pytest.mark.parametrize("script", ["web/web_run.py", "interpreters/arm64_client.py"])
def test_a_missing_program_is_one_sentence(script: str, tmp_path: Path) -> None:
    python = shutil.which(sys.executable) or sys.executable
    done = subprocess.run(
        [python, CLIENTS / script],
        env={"PATH": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert "on Debian: apt-get install" in done.stderr
    assert done.stderr.count("\n") == 1


def test_differences_are_counted_in_steps_and_decisions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(CLIENTS / "interpreters"))
    place = CLIENTS / "interpreters/client_bundle.py"
    spec = importlib.util.spec_from_file_location("client_bundle", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    row = module.compare(
        "A",
        version="1",
        dtype="int8",
        integers=[-128, -71, 5],
        expected=[-128, -73, 8],
        threshold=-72,
        note="",
    )
    assert (row["equal"], row["largest_difference_steps"], row["decision_flips"]) == (1, 3, 1)
    values = module.input_values("int8", [np.array([[[0, 128, 255]]], np.uint8)])
    assert values.tolist() == [[[[-128, 0, 127]]]]
