"""What `verify` says of a run whose files are as recorded, changed, gone, or of other weights."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from graded_run import make_graded_run

from edge_melanoma.runs.recorded_files import (
    CHANGED,
    MISSING,
    OUTDATED,
    UNKNOWN,
    record_bench,
    verify_run,
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    made = make_graded_run(tmp_path)
    (made.folder / "bench").mkdir()
    (made.folder / "bench" / "parity.md").write_text("as good")
    record_bench(made.folder / "bench", source_sha256=made.sha256)
    return made.folder


def found(run: Path) -> dict[str, str]:
    return {finding["file"]: finding["state"] for finding in verify_run(run)["findings"]}


def test_files_without_a_record_are_unknown_and_no_fault(run: Path) -> None:
    verification = verify_run(run)
    assert verification["checked"] == 3
    assert verification["as_recorded"]
    assert found(run) == {
        "predictions_validation.csv": UNKNOWN,
        "split.json": UNKNOWN,
    }


@pytest.mark.parametrize(
    "name", ["weights.safetensors", "exports/model_int8.tflite", "bench/parity.md"]
)
def test_one_flipped_bit_is_found_and_so_is_a_missing_file(run: Path, name: str) -> None:
    content = bytearray((run / name).read_bytes())
    content[-1] ^= 1
    (run / name).write_bytes(content)
    assert found(run)[name] == CHANGED
    (run / name).unlink()
    assert found(run)[name] == MISSING
    assert not verify_run(run)["as_recorded"]


def test_an_export_of_other_weights_is_told_as_such(run: Path) -> None:
    path = run / "exports" / "model_int8.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"source_sha256": "0" * 64}))
    assert found(run)["exports/model_int8.json"] == OUTDATED


def test_half_written_files_of_a_killed_process_are_told(run: Path) -> None:
    (run / "exports" / ".unfinished-x").write_bytes(b"half")
    (run / ".lock").touch()
    assert found(run)["exports/.unfinished-x"] == UNKNOWN
    assert ".lock" not in found(run)


def test_the_command_says_it_and_exits_with_0_1_or_2(
    edge_melanoma: Callable[..., Any], run: Path, tmp_path: Path
) -> None:
    assert edge_melanoma("verify", run).exit_code == 0
    (run / "weights.safetensors").write_bytes(b"other")
    result = edge_melanoma("verify", run)
    assert result.exit_code == 1
    first, *_, last = result.stdout.splitlines()
    assert first.startswith("changed: weights.safetensors is ")
    assert last == f"{run}: 3 files with a recorded sha256, NOT as recorded."
    told = json.loads(edge_melanoma("verify", run, "--json").stdout)
    assert (told["schema"], told["checked"], told["as_recorded"]) == (1, 3, False)
    assert told["findings"][0]["state"] == "changed"
    missing = edge_melanoma("verify", tmp_path / "nowhere")
    assert (missing.exit_code, missing.stdout) == (2, "")
    assert "There is no finished run in" in missing.stderr


def test_the_model_in_the_package_is_as_recorded(edge_melanoma: Callable[..., Any]) -> None:
    result = edge_melanoma("verify", "bundled", "--json")
    assert (result.exit_code, json.loads(result.stdout)["as_recorded"]) == (0, True)
