"""`--deterministic`: the same bytes twice on one machine, and the record of what that holds for."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from made import hash_file

from edge_melanoma.data.phantoms import write_phantoms
from edge_melanoma.machine.environment import cpu_name, package_version
from edge_melanoma.runs.models import TrainedModel

Cli = Callable[..., Any]

RECORDED = ("AMD EPYC", "26", "2", 2, "2.21.0")
"""Processor, its family and model, threads and TensorFlow: others add float32 in another order."""

WEIGHTS = {
    "frozen": "e88fe2a03648026b60f6a098f31cd0ec27f5f9407eae975d01c189d3eb1d7192",
    "partial": "6f9fbeafa0ec00d42a128d6bdf9290e10985708f468c2355ad72ffca96446166",
    "scratch": "3227649ab6f99cc02174b42568b5f6633278c48b3b6705395820b6bd1ad604f8",
}
"""sha256 of the weights that the hand-written loop gave, before training ran on Keras' own."""


def machine() -> tuple[object, ...]:
    """What is to be the same for the same bits."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    told = {name.strip(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    family, model = told.get("cpu family"), told.get("model")
    threads = len(os.sched_getaffinity(0))
    return (cpu_name(), family, model, threads, package_version("tensorflow"))


@pytest.mark.slow
@pytest.mark.parametrize("variant", sorted(WEIGHTS))
def test_the_weights_are_those_that_were_recorded(
    edge_melanoma: Cli, tmp_path: Path, variant: str, op_determinism: Callable[[], bool]
) -> None:
    if machine() != RECORDED:
        pytest.skip(f"the weights were recorded on {RECORDED}, and this is {machine()}")
    write_phantoms(tmp_path / "P", count=120, seed=3)
    result = edge_melanoma(
        *("train", "--variant", variant, "--data", tmp_path / "P", "--weights", "none"),
        *("--deterministic", "--epochs", "2", "--out", tmp_path / "run"),
        *("--cache-dir", tmp_path / "cache"),
    )
    assert result.exit_code == 0, result.stderr
    assert hash_file(tmp_path / "run" / "weights.safetensors") == WEIGHTS[variant]


@pytest.fixture
def op_determinism() -> Iterator[Callable[[], bool]]:
    """Whether TensorFlow's deterministic operators are on; off again after the test."""
    from tensorflow.python.framework import config

    yield config.is_op_determinism_enabled
    config.disable_op_determinism()


@pytest.mark.slow
def test_two_trainings_give_the_same_weights_and_say_how(
    edge_melanoma: Cli, phantoms: Path, tmp_path: Path, op_determinism: Callable[[], bool]
) -> None:
    assert not op_determinism()
    for name in ("one", "two"):
        result = edge_melanoma(
            *("train", "--data", phantoms, "--variant", "frozen", "--weights", "none"),
            *("--epochs", "1", "--seed", "4", "--out", tmp_path / name),
            *("--cache-dir", tmp_path / f"cache-{name}", "--deterministic"),
        )
        assert result.exit_code == 0, result.stderr
    assert op_determinism()
    one, two = (hash_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    assert one == two
    told = json.loads((tmp_path / "one" / "manifest.json").read_text())
    assert told["settings"]["deterministic"] is True
    assert told["determinism"]["op_determinism"] is True
    assert told["determinism"]["seed"] == 4
    assert told["determinism"]["threads"] >= 1
    assert told["starting_weights"] == {"name": "none", "sha256": None}


@pytest.mark.slow
def test_without_it_nothing_is_claimed(trained_run: TrainedModel) -> None:
    assert trained_run.manifest["determinism"] is None
    assert trained_run.manifest["settings"]["deterministic"] is False


@pytest.mark.slow
def test_two_exports_give_the_same_files(
    edge_melanoma: Cli, trained_run: TrainedModel, tmp_path: Path
) -> None:
    run = shutil.copytree(trained_run.folder, tmp_path / "run")
    path = run / "exports" / "model_int8.tflite"
    hashes = []
    for _ in range(2):
        result = edge_melanoma(
            *("export", run, "--quantize", "int8", "--calibration-images", "20"),
            *("--deterministic", "--force"),
        )
        assert result.exit_code == 0, result.stderr
        hashes.append(hash_file(path))
    assert hashes[0] == hashes[1]
    manifest = json.loads(path.with_suffix(".json").read_text())
    assert manifest["deterministic"] is True
    assert manifest["determinism"]["op_determinism"] is True
