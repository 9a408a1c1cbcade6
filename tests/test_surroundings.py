"""Where the system gives less than usual: each is told in a sentence, or survived."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_images import encode, pattern
from PIL import Image

import edge_melanoma

CLI = [sys.executable, "-m", "edge_melanoma"]
NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount, or be another")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(encode(Image.fromarray(pattern()), "PNG"))
    return path


def changed(change: str, *arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command in a process in which `change` was run before; its children have it too."""
    (folder / "sitecustomize.py").write_text(change)
    environment = os.environ | {"PYTHONPATH": str(folder)}
    command = [*CLI, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200)


def test_a_system_without_limits_is_told_at_the_start(tmp_path: Path, picture: Path) -> None:
    change = "import sys\nsys.modules['resource'] = None\n"
    done = changed(change, "predict", "bundled", picture, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("edge-melanoma: This system has no limits of memory")
    assert done.stderr.count("\n") == 1


def test_no_shared_memory_is_needed(tmp_path: Path, picture: Path) -> None:
    change = (
        "import _multiprocessing\n"
        "def none(*a, **k):\n    raise OSError(38, 'no /dev/shm')\n"
        "_multiprocessing.SemLock = none\n"
    )
    done = changed(change, "predict", "bundled", picture, "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for name in range(70):  # so many that a pool scores them
        (tmp_path / f"{name}.png").write_bytes(picture.read_bytes())
    done = changed(change, "predict", "bundled", tmp_path, "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_clock_that_goes_back_is_survived(tmp_path: Path, picture: Path) -> None:
    change = (
        "import time\nnow = [time.time()]\n"
        "def back():\n    now[0] -= 3600\n    return now[0]\n"
        "time.time = back\n"
    )
    done = changed(change, "predict", "bundled", picture, "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    done = changed(change, "data", "phantoms", tmp_path / "p", "--count", "4", folder=tmp_path)
    assert done.returncode == 0, done.stderr


@needs_root
@pytest.mark.parametrize("what", ["packages that cannot be written", "no shared memory"])
def test_a_system_with_less_of_its_disk_is_survived(what: str, picture: Path) -> None:
    change = "mount -t tmpfs -o ro tmpfs /dev/shm"
    if what != "no shared memory":
        place = Path(edge_melanoma.__file__).parents[1]
        change = f"mount --bind {place} {place} && mount -o remount,ro,bind {place}"
    command = f"{change} || exit 77; {' '.join(CLI)} predict bundled {picture} --json"
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", command], capture_output=True, text=True, timeout=200
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("nothing can be mounted here")
    assert done.returncode == 0, done.stderr


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk without a free byte."""
    folder = tmp_path / "full"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=2", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    (folder / "all").write_bytes(b"x" * 4096)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@needs_root
@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_a_full_folder_of_temporary_files_is_told_or_not_needed(
    command: str, full: Path, picture: Path
) -> None:
    arguments = [picture] if command == "predict" else ["--data", picture.parent]
    done = subprocess.run(
        [*CLI, command, "bundled", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"TMPDIR": str(full)},
        timeout=200,
    )
    assert done.returncode in (0, 2), done.stderr
    assert "Traceback" not in done.stderr


@needs_root
def test_somebody_without_a_home_may_use_it_where_nothing_can_be_written(picture: Path) -> None:
    for folder in (picture.parent, *picture.parent.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o055)
    picture.chmod(0o644)
    try:
        done = subprocess.run(
            [*CLI, "predict", "bundled", str(picture), "--json"],
            capture_output=True,
            text=True,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            cwd="/",
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
            timeout=200,
        )
    except PermissionError:
        pytest.skip("the interpreter of the tests is root's alone")
    assert done.returncode == 0, done.stderr
