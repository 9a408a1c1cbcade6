"""Small files that would fill the memory are refused, and read in a child in any case."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.network import weight_files
from edge_melanoma.network.weight_files import LARGEST_WEIGHTS_BYTES, read_weights_file

h5py = pytest.importorskip("h5py")


def test_a_chunk_counts_by_its_own_size(tmp_path: Path) -> None:
    path = tmp_path / "bomb.h5"
    with h5py.File(path, "w") as file:
        chunk = (LARGEST_WEIGHTS_BYTES // 4 + 1,)
        file.create_dataset("a/kernel", (4,), "f4", chunks=chunk, maxshape=(None,), compression=9)
    assert path.stat().st_size < 100_000
    with pytest.raises(EdgeMelanomaError, match=r"bomb\.h5 unpacks to 5\d{8} bytes; at most"):
        read_weights_file(path)


def test_a_dataset_of_a_few_bytes_may_say_that_it_is_large(tmp_path: Path) -> None:
    path = tmp_path / "bomb.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a/kernel", (2**40,), "f2", chunks=(1024,))
    with pytest.raises(EdgeMelanomaError, match=r"bomb\.h5 unpacks to \d{13} bytes"):
        read_weights_file(path)


def test_half_precision_counts_and_is_read_at_its_own_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.numpy import save_file

    half = np.ones(1000, np.float16)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a/kernel"] = half
    save_file({"a/kernel": half}, tmp_path / "a.safetensors")
    monkeypatch.setattr(weight_files, "LARGEST_WEIGHTS_BYTES", half.nbytes)
    for name in ("a.h5", "a.safetensors"):
        here = weight_files._read_here(tmp_path / name).arrays["a/kernel"]
        assert here.dtype == np.float16
    monkeypatch.setattr(weight_files, "LARGEST_WEIGHTS_BYTES", half.nbytes - 1)
    with pytest.raises(EdgeMelanomaError, match=r"a\.h5 unpacks to 2000 bytes; at most 1999"):
        weight_files._read_here(tmp_path / "a.h5")


def test_the_weights_and_the_gate_of_a_run_are_read_in_a_limited_child(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from edge_melanoma.network.gate import read_gate
    from edge_melanoma.network.network import read_safetensors
    from edge_melanoma.runs.bundled import bundled_run

    asked: list[Path] = []

    def limited(function: Any, path: Path, **limits: Any) -> Any:
        asked.append(path)
        return function(path)

    monkeypatch.setattr(weight_files, "run_limited", limited)
    run = bundled_run()
    read_safetensors(run)
    read_gate(run)
    assert [path.name for path in asked] == ["weights.safetensors", "gate.safetensors"]


def test_foreign_weights_are_read_in_a_limited_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def limited(*_: Any, **limits: Any) -> weight_files.WeightsFile:
        asked.append(limits)
        return weight_files.WeightsFile(arrays={})

    monkeypatch.setattr(weight_files, "run_limited", limited)
    (tmp_path / "a.h5").write_bytes(os.urandom(8))
    read_weights_file(tmp_path / "a.h5")
    assert asked == [{"what": f"The weights file {tmp_path / 'a.h5'}", "seconds": 60.0}]
