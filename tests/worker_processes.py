"""Two workers of one training as processes on this machine, each of which may be killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

WORKERS = 2


class WorkerProcesses:
    """The command line `train --strategy multiworker`, once for each worker."""

    def __init__(self, arguments: Sequence[str | Path], *, out: Path) -> None:
        words = ["train", *map(str, arguments), "--out", str(out)]
        self._arguments = [*words, "--strategy", "multiworker"]
        self._out = out
        self._addresses = [f"127.0.0.1:{port}" for port in free_ports(WORKERS)]
        self._processes = [self._start(index) for index in range(WORKERS)]

    def kill(self, index: int) -> None:
        """End a worker and its child without a word to them, and start it anew."""
        os.killpg(self._processes[index].pid, signal.SIGKILL)
        self._processes[index].wait()
        self._processes[index] = self._start(index)

    def wait(self, seconds: float) -> list[int]:
        """Their exit codes."""
        end = time.monotonic() + seconds
        return [process.wait(max(0.1, end - time.monotonic())) for process in self._processes]

    def wait_for(self, path: Path, seconds: float) -> None:
        """Until a file is there.

        Raises:
            TimeoutError: it was not in time; what the workers said goes with it.
        """
        end = time.monotonic() + seconds
        while not path.exists():
            if time.monotonic() > end:
                raise TimeoutError(f"no {path}: {self.said(0)} {self.said(1)}")
            time.sleep(0.2)

    def said(self, index: int) -> str:
        """What a worker has written to stderr."""
        return self._log(index).read_text(encoding="utf-8")

    def end(self) -> None:
        """Nothing is left running."""
        for process in self._processes:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            process.wait()

    def _start(self, index: int) -> subprocess.Popen[bytes]:
        config = {
            "cluster": {"worker": self._addresses},
            "task": {"type": "worker", "index": index},
        }
        with self._log(index).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "edge_melanoma", *self._arguments],
                env={**os.environ, "TF_CONFIG": json.dumps(config)},
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )

    def _log(self, index: int) -> Path:
        return self._out.with_name(f"{self._out.name}-{index}.log")


@contextmanager
def two_workers(arguments: Sequence[str | Path], *, out: Path) -> Iterator[WorkerProcesses]:
    """Started, and ended whatever happens."""
    workers = WorkerProcesses(arguments, out=out)
    try:
        yield workers
    finally:
        workers.end()


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nothing listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports
