"""`--deterministic`: the same bytes twice on one machine, and the record of what that holds for."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from made import hash_file

from edge_melanoma.runs.models import TrainedModel

Cli = Callable[..., Any]


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
def test_two_exports_give_the_same_files(edge_melanoma: Cli, trained_run: TrainedModel) -> None:
    path = trained_run.folder / "exports" / "model_int8.tflite"
    hashes = []
    for _ in range(2):
        result = edge_melanoma(
            *("export", trained_run.folder, "--quantize", "int8", "--calibration-images", "20"),
            *("--deterministic", "--force"),
        )
        assert result.exit_code == 0, result.stderr
        hashes.append(hash_file(path))
    assert hashes[0] == hashes[1]
    manifest = json.loads(path.with_suffix(".json").read_text())
    assert manifest["deterministic"] is True
    assert manifest["determinism"]["op_determinism"] is True
