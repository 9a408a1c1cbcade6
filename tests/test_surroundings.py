"""Where the system gives less than usual: each is told in a sentence, or survived."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_images import encode, pattern
from every_command import ALL, CLI, by_cost
from light_core import skip_without_tensorflow
from PIL import Image

import edge_melanoma

NOBODY = 65534
MISSING = 77
"""The exit code where the surroundings cannot be made here."""
PACKAGES = Path(edge_melanoma.__file__).parents[1]
CHANGES = {
    "no limits": "import sys\nsys.modules['resource'] = None\n",
    "no semaphores": (
        "import _multiprocessing\n"
        "def none(*a, **k):\n    raise OSError(38, 'no /dev/shm')\n"
        "_multiprocessing.SemLock = none\n"
    ),
    "a clock that goes back": (
        "import time\nnow = [time.time()]\n"
        "def back():\n    now[0] -= 3600\n    return now[0]\n"
        "time.time = back\n"
    ),
}
"""What is run at the start of the process, and of all below it."""
MOUNTS = {
    "packages that cannot be written": (
        f"mount --bind {PACKAGES} {PACKAGES} && mount -o remount,ro,bind {PACKAGES}"
    ),
    "no shared memory": "mount -t tmpfs -o ro tmpfs /dev/shm",
    "a full folder of temporary files": (
        "mkdir full && mount -t tmpfs -o size=4k,nr_inodes=2 tmpfs full"
        " && head -c 4096 /dev/zero > full/all && export TMPDIR=$PWD/full"
    ),
    "another user without a home": "export HOME=/nonexistent PYTHONDONTWRITEBYTECODE=1",
}
"""What is done before, in mounts of its own: only root can."""
CLOSED = "another user without a home"
TOLD = {"a full folder of temporary files"}
"""Where a command may also end with a sentence."""
PREDICT = "predict bundled a.png --json"
OTHERS = by_cost(["evaluate", "android", "data phantoms", "export", "bench"])
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount, or be another")
LESS = [
    "no semaphores",
    "a clock that goes back",
    *(pytest.param(what, marks=needs_root) for what in MOUNTS),
]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that others can come to, with a picture."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "place"
        folder.mkdir()
        (folder / "a.png").write_bytes(encode(Image.fromarray(pattern()), "PNG"))
        yield folder


def changed(change: str, command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command in a process in which `change` was run before; its children have it too."""
    (folder / "sitecustomize.py").write_text(CHANGES[change])
    return ended(command, folder, before=f"export PYTHONPATH={folder}")


def mounted(what: str, command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command where such mounts were made before, or by somebody else whose folder it is."""
    before, user = MOUNTS[what], ""
    if what == CLOSED:
        before = " && ".join([before, *opened(folder)])
        user = f"setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups"
        folder.parent.chmod(0o755)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
    done = ended(command, folder, before=before, user=user, around=["unshare", "-m"])
    if done.returncode == MISSING or "unshare" in done.stderr:
        pytest.skip("nothing can be mounted here")
    return done


def opened(folder: Path) -> Iterator[str]:
    """Interpreter and packages may lie where others cannot come to: there, they alone are seen."""
    places = {Path(sys.base_prefix), Path(sys.prefix), PACKAGES}
    closed = {one for place in places for one in place.parents if not one.stat().st_mode & 0o001}
    hidden = [place for place in places if closed & {*place.parents}]
    for number, place in enumerate(hidden):
        kept = folder.with_name(f"kept-{number}")
        yield f"mkdir {kept} && mount --bind {place} {kept}"
    for top in closed - {one for one in closed if closed & {*one.parents}}:
        yield f"mount -t tmpfs -o mode=755 tmpfs {top}"
    for number, place in enumerate(hidden):
        yield f"mkdir -p {place} && mount --bind {folder.with_name(f'kept-{number}')} {place}"


def ended(
    command: str, folder: Path, *, before: str, user: str = "", around: list[str] | None = None
) -> subprocess.CompletedProcess[str]:
    line = f"{{ {before}; }} || exit {MISSING}; exec {user} {shlex.join(CLI)} {command}"
    words = [*(around or []), "bash", "-c", line]
    done = subprocess.run(words, capture_output=True, text=True, cwd=folder, timeout=600)
    skip_without_tensorflow(done.stderr)
    return done


def test_a_system_without_limits_is_told_at_the_start(place: Path) -> None:
    done = changed("no limits", PREDICT, place)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("edge-melanoma: This system has no limits of memory")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("what", LESS)
def test_a_system_with_less_is_survived(what: str, place: Path) -> None:
    survive_or_tell(what, PREDICT, place)


@pytest.mark.parametrize("what", LESS)
@pytest.mark.parametrize("command", OTHERS)
def test_each_command_survives_a_system_with_less(
    command: str, what: str, place: Path, ground: Path
) -> None:
    shutil.copytree(ground, place, dirs_exist_ok=True)
    survive_or_tell(what, ALL[command], place)


def survive_or_tell(what: str, command: str, folder: Path) -> None:
    """The command does its work, a bench by any verdict, or ends by a sentence where it may."""
    done = (mounted if what in MOUNTS else changed)(what, command, folder)
    assert "Traceback" not in done.stderr
    if done.returncode == 2 and what in TOLD:
        assert done.stderr.splitlines()[-1].startswith("edge-melanoma: ")
        return
    verdicts = (0, 1) if command == ALL["bench"] and done.stdout else (0,)
    assert done.returncode in verdicts, done.stderr


def test_no_shared_memory_is_needed_by_a_pool(place: Path) -> None:
    for number in range(70):
        shutil.copy(place / "a.png", place / f"{number}.png")
    done = changed("no semaphores", "predict bundled . --json", place)
    assert done.returncode == 0, done.stderr


@needs_root
@pytest.mark.parametrize("command", ["verify", "inspect", "predict bundled", "data check"])
def test_a_place_that_may_not_be_entered_is_told(command: str, place: Path) -> None:
    (place / "closed").mkdir(mode=0)
    done = mounted(CLOSED, f"{command} closed/a/b", place)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("edge-melanoma: ")
    assert "closed/a/b" in done.stderr
    assert done.stderr.count("\n") == 1
