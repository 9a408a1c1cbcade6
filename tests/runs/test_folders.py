"""One process in a run folder, and no work whose results could not be written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.runs.folders import choose_run_folder, hold_run, refuse_unwritable

HOLD = (
    "import sys; from pathlib import Path; from edge_melanoma.runs.folders import hold_run\n"
    "with hold_run(Path(sys.argv[1])):\n    print('held', flush=True); sys.stdin.read()"
)


def test_a_second_process_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"held\n"
        with pytest.raises(EdgeMelanomaError) as caught, hold_run(tmp_path):
            pass
        first.kill()
    assert str(caught.value) == (
        f"{tmp_path} is being written by process {first.pid}; wait until that has ended, or choose "
        "another folder."
    )
    with hold_run(tmp_path):
        assert (tmp_path / ".owner").read_text() == str(os.getpid())


def test_what_a_killed_process_left_half_written_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / ".unfinished-a").write_bytes(b"half")
    (tmp_path / "weights.safetensors").write_bytes(b"whole")
    with hold_run(tmp_path):
        pass
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert left == [".lock", "weights.safetensors"]


def test_a_folder_that_holds_a_lock_alone_is_as_good_as_new(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    assert choose_run_folder(tmp_path, variant="frozen", force=False) == tmp_path


def test_a_folder_in_which_nothing_was_written_is_not_left_behind(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "partial-1"
    folder.mkdir(parents=True)
    with pytest.raises(EdgeMelanomaError), hold_run(folder):
        raise EdgeMelanomaError("Something was missing.")
    assert not folder.exists()


def test_two_new_runs_get_two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    chosen = [choose_run_folder(None, variant="best", force=False) for _ in range(2)]
    assert [str(folder) for folder in chosen] == ["runs/best-1", "runs/best-2"]


def test_a_place_without_writing_is_found_before_the_work(tmp_path: Path) -> None:
    # /proc takes no files of anybody, root included.
    with pytest.raises(EdgeMelanomaError, match=r"^/proc/new cannot be written: .*--out\.$"):
        refuse_unwritable(tmp_path / "a.json", None, Path("/proc/new/report.html"))
    with pytest.raises(EdgeMelanomaError, match="is a folder; expected the name of a file"):
        refuse_unwritable(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_new_folder_deep_below_is_no_obstacle_and_is_not_made(tmp_path: Path) -> None:
    refuse_unwritable(tmp_path / "a" / "b" / "report.html")
    assert list(tmp_path.iterdir()) == []
