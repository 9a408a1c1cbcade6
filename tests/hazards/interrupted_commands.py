"""The eight stages, and commands in forked processes that tell when they enter one of them."""

import contextlib
import hashlib
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A stage: it begins when `function` of `module` is called for the `call`th time, from 1.

    The stop comes at a random moment of the `longest_seconds` after it.
    """

    command: str
    module: str
    function: str
    longest_seconds: float
    call: int = 1


POINTS = MappingProxyType(
    {
        "reading": Point(
            command="train",
            module="edge_melanoma.training.material",
            function="read_fingerprints",
            longest_seconds=0.5,
        ),
        "caching activations": Point(
            command="train",
            module="edge_melanoma.training.activations",
            function="_append_rows",
            longest_seconds=1.0,
        ),
        "mid-epoch": Point(
            command="train",
            module="edge_melanoma.training.callbacks",
            function="reset_dropout",
            longest_seconds=0.5,
            call=2,
        ),
        "between epochs": Point(
            command="train",
            module="edge_melanoma.training.checkpoints",
            function="save_checkpoint",
            longest_seconds=0.1,
            call=2,
        ),
        "saving": Point(
            command="train",
            module="edge_melanoma.training.session",
            function="record_run",
            longest_seconds=2.0,
        ),
        "mid-QAT": Point(
            command="export-qat",
            module="edge_melanoma.converters.conversion",
            function="tune_quantised",
            longest_seconds=8.0,
        ),
        "mid-export": Point(
            command="export",
            module="edge_melanoma.converters.export",
            function="_convert_in_child",
            longest_seconds=8.0,
        ),
        "mid-bench": Point(
            command="bench",
            module="edge_melanoma.benchmarks.bench",
            function="measure_models",
            longest_seconds=6.0,
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended: its exit code, negative for a signal, and its last line on stderr."""

    code: int
    last_line: str


def run_forked(
    command: str,
    data: Path,
    place: Path,
    *,
    timeout: float,
    point: Point | None = None,
    stop: Callable[[int], None] | None = None,
    resume: bool = False,
) -> Ended:
    """Run a command on `place`/run in a fork; `stop` gets its pid once `point` is entered."""
    entered, tell = os.pipe()
    with tempfile.TemporaryFile() as log:
        pid = os.fork()
        if pid == 0:
            os.close(entered)
            _become_command(
                _arguments(command, data, place, resume=resume), log.fileno(), point, tell
            )
        os.close(tell)
        timer = threading.Timer(timeout, _kill, [pid])
        timer.start()
        try:
            # An empty answer: the command has ended without coming to the point.
            if os.read(entered, 1) and stop is not None:
                stop(pid)
            _, status = os.waitpid(pid, 0)
        except BaseException:
            _kill(pid)
            raise
        finally:
            os.close(entered)
            timer.cancel()
        log.seek(0)
        lines = log.read().decode(errors="replace").strip().splitlines()
    return Ended(code=os.waitstatus_to_exitcode(status), last_line=lines[-1] if lines else "")


def hash_results(command: str, run: Path) -> dict[str, str]:
    """sha256 of what the command is for."""
    patterns = {
        "train": ("weights.safetensors", "predictions_*.csv"),
        "export": ("exports/model_*.tflite",),
        "export-qat": ("exports/model_int8-qat.tflite",),
        "bench": ("bench/predictions_*.csv",),
    }
    paths = [path for pattern in patterns[command] for path in sorted(run.glob(pattern))]
    return {
        path.relative_to(run).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }


def _arguments(command: str, data: Path, place: Path, *, resume: bool) -> list[str]:
    run, cache = place / "run", place / "cache"
    if command == "train":
        arguments = ["train", "--data", data, "--variant", "frozen", "--weights", "none"]
        arguments += ["--epochs", "3", "--out", run, "--cache-dir", cache, "--deterministic"]
        return [str(word) for word in [*arguments, *(["--resume"] if resume else [])]]
    if command == "bench":
        return ["bench", str(run), "--runs", "2", "--warmup", "1"]
    mode = "int8-qat" if command == "export-qat" else "int8"
    arguments = ["export", run, "--quantize", mode, "--qat-epochs", "1", "--cache-dir", cache]
    return [str(word) for word in [*arguments, "--calibration-images", "10", "--deterministic"]]


def _become_command(arguments: list[str], log: int, point: Point | None, tell: int) -> None:
    """In the fork: run the command line and end as it ends."""
    os.dup2(log, 1)
    os.dup2(log, 2)
    code = 70
    try:
        from edge_melanoma import cli
        from edge_melanoma.converters import export
        from edge_melanoma.training import checkpoints

        checkpoints.INTERVAL_SECONDS = 0.0
        vars(export)["run_in_child"] = lambda function, *given: function(*given)
        if point is not None:
            _watch(point, tell)
        sys.argv = ["edge-melanoma", *arguments]
        cli.run()
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _watch(point: Point, tell: int) -> None:
    module = import_module(point.module)
    original, calls = getattr(module, point.function), 0

    @wraps(original)
    def entered(*given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == point.call:
            os.write(tell, b"!")
        return original(*given, **named)

    setattr(module, point.function, entered)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
