"""An order to end is obeyed in a moment, told in one sentence, and leaves no child behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DRAW = [sys.executable, "-m", "edge_melanoma", "data", "phantoms", "--count", "100000"]
WAIT_FOR_CHILD = (
    "import os, sys, time\n"
    "from edge_melanoma import cli\n"
    "from edge_melanoma.machine.processes import run_in_child\n"
    "def work():\n    print(os.getpid(), flush=True); time.sleep(300)\n"
    "if __name__ == '__main__':\n"
    "    cli.app = lambda **_: run_in_child(work)\n    cli.run()\n"
)


SWALLOW = (
    "import os, signal\n"
    "from edge_melanoma import cli\n"
    "def work(**_):\n"
    "    try:\n        os.kill(os.getpid(), signal.SIGINT)\n"
    "    except KeyboardInterrupt as error:\n        raise SystemError('bad argument') from error\n"
    "cli.app = work\ncli.run()\n"
)
"""As native code does in which a KeyboardInterrupt is raised."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_both_orders_end_with_130_and_a_sentence(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "phantoms"
    with subprocess.Popen([*DRAW, str(folder)], stderr=subprocess.PIPE, text=True) as process:
        _wait_for(lambda: any(folder.rglob("*.png")))
        process.send_signal(number)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error == "edge-melanoma: interrupted; what was finished is kept.\n"


def test_an_order_that_native_code_made_an_error_of_is_obeyed() -> None:
    ended = subprocess.run([sys.executable, "-c", SWALLOW], capture_output=True, text=True)
    assert ended.returncode == 130
    assert ended.stderr == "edge-melanoma: interrupted; what was finished is kept.\n"
    without = SWALLOW.replace("os.kill(os.getpid(), signal.SIGINT)", "raise KeyboardInterrupt")
    ended = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True)
    assert ended.returncode == 1
    assert "SystemError: bad argument" in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_child_outlives_its_parent(tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "waits.py"
    script.write_text(WAIT_FOR_CHILD)
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        assert _is_alive(child)
        process.send_signal(number)
        process.wait(timeout=60)
    _wait_for(lambda: not _is_alive(child))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def _wait_for(condition: object, *, seconds: float = 60) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
