"""Closed streams, readers that go early, a deleted working folder: no traceback, no code 1."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from every_command import ALL, CLOSED, ELSEWHERE, by_cost, names_of, run_apart, why_lost
from typer.main import get_command

from edge_melanoma import cli

CLI = f"{sys.executable} -m edge_melanoma"


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, cwd=folder, timeout=120
    )


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A run of which `verify` has thousands of lines to say."""
    from edge_melanoma.machine.files import json_text

    run = tmp_path / "run"
    run.mkdir()
    files = {f"file-{number}": {"sha256": "0" * 64} for number in range(5000)}
    point = {"threshold": 0.5}
    told = {"schema": 1, "variant": "frozen", "operating_point": point, "files": files}
    (run / "manifest.json").write_text(json_text(told))
    return tmp_path


@pytest.mark.parametrize("options", ["", "--json"])
def test_a_reader_that_goes_early_has_an_exit_code_of_its_own(many: Path, options: str) -> None:
    done = shell(f"{CLI} verify run {options} | head -1 >&2; exit ${{PIPESTATUS[0]}}", many)
    assert done.returncode == 141
    assert done.stderr.count("\n") == 1  # what `head` has shown


@pytest.mark.parametrize("command", ["doctor --json", "inspect bundled", "--help", "--version"])
def test_what_is_printed_to_a_closed_stdout_has_no_reader(command: str, tmp_path: Path) -> None:
    done = shell(f"{CLI} {command} >&-", tmp_path)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_closed_stdout_is_no_place_for_a_file(tmp_path: Path) -> None:
    done = shell(f"{CLI} inspect bundled --json out.json >&- <&- 2>&-", tmp_path)
    assert done.returncode == 141  # its table has no reader
    assert (tmp_path / "out.json").read_text().startswith("{")


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-"])
def test_nothing_else_needs_its_streams(closed: str, tmp_path: Path) -> None:
    done = shell(f"{CLI} inspect bundled --json {closed}", tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("{")
    assert done.stderr == ""
    done = shell(f"{CLI} inspect none.tflite {closed}", tmp_path)
    assert done.returncode == 2


def test_every_command_is_tried() -> None:
    assert {*names_of(get_command(cli.app))} == {*ALL} | ELSEWHERE


@pytest.mark.parametrize("command", by_cost(ALL))
def test_every_command_has_exit_codes_of_their_own_kind(command: str, ground: Path) -> None:
    for what, closed in CLOSED.items():
        done = run_apart(ALL[command], ground, closed=closed)
        assert why_lost(done, closed) is None, what


@pytest.mark.parametrize("command", ["inspect bundled", "verify", "data check ."])
def test_a_deleted_working_folder_is_told(command: str, tmp_path: Path) -> None:
    done = shell(f"mkdir gone; cd gone; rmdir ../gone; {CLI} {command}", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "edge-melanoma: The working folder is not there any more; go to another.\n"
    )


def test_little_memory_is_told_in_seconds(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    picture.write_bytes(b"none")
    done = shell(f"ulimit -v 200000; {CLI} predict bundled a.png", tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr


def test_no_descriptor_is_left_open() -> None:
    from edge_melanoma.machine.processes import run_in_child

    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        run_in_child(len, b"")
    assert len(os.listdir("/proc/self/fd")) <= before + 2  # the resource tracker's
