"""The ways in which one .tflite file can be run here: interpreter, kernels, threads."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.environment import package_version
from edge_melanoma.machine.processes import last_line
from edge_melanoma.runtime.names import PACKAGE_OF_RUNTIME, Kernels, Runtime

PROBE = "import importlib, numpy, sys; importlib.import_module(sys.argv[1])"
PROBE_SECONDS = 120
PYTHONS = ("python3.11", "python3.10", "python3.9", "python3")
"""Looked for on PATH; tflite-runtime's last wheels are for the first three."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelPath:
    """One way to run a file; `python` is none where no Python here has the interpreter."""

    runtime: Runtime
    kernels: Kernels
    threads: int
    python: Path | None
    reason: str = ""


def list_paths(interpreter_python: Path | None) -> tuple[KernelPath, ...]:
    """Every way, the one that all others are held against first.

    `interpreter_python` is a Python that has tflite-runtime; without it one is looked for.

    Raises:
        EdgeMelanomaError: `interpreter_python` cannot run tflite-runtime.
    """
    own = Path(sys.executable)
    places: dict[Runtime, tuple[Path | None, str]] = {
        Runtime.LITERT: (own, ""),
        Runtime.TF_LITE: _find_tensorflow(),
        Runtime.TFLITE_RUNTIME: _find_tflite_runtime(interpreter_python),
    }
    return tuple(
        KernelPath(runtime=runtime, kernels=kernels, threads=threads, python=python, reason=reason)
        for runtime, (python, reason) in places.items()
        for kernels, threads in _ways(has_python=python is not None)
    )


def _ways(*, has_python: bool) -> Iterator[tuple[Kernels, int]]:
    if not has_python:
        yield Kernels.DEFAULT, 1
        return
    for kernels in (Kernels.DEFAULT, Kernels.BUILT_IN):
        for threads in thread_counts(os.cpu_count() or 1):
            yield kernels, threads
    # These do not use threads, and take 40 times as long.
    yield Kernels.REFERENCE, 1


def thread_counts(cores: int) -> tuple[int, ...]:
    """1, 2, 4 and so on up to all cores."""
    powers = (2**power for power in range(cores.bit_length()))
    return tuple(dict.fromkeys([*(count for count in powers if count <= cores), cores]))


def _find_tensorflow() -> tuple[Path | None, str]:
    """Not imported for this: that takes 5 s, and each of its paths will say what is wrong."""
    package = PACKAGE_OF_RUNTIME[Runtime.TF_LITE]
    if package_version(package) is None:
        return None, f"{package} is not installed; install it with: pip install {package}"
    return Path(sys.executable), ""


def _find_tflite_runtime(asked: Path | None) -> tuple[Path | None, str]:
    module = f"{Runtime.TFLITE_RUNTIME.value}.interpreter"
    if asked is not None:
        reason = _probe(asked, module)
        if reason is not None:
            raise EdgeMelanomaError(
                f"--interpreter-python {asked} does not run tflite-runtime: {reason}; expected a "
                f"Python 3.9 to 3.11 with: pip install tflite-runtime==2.14.0 'numpy<2'"
            )
        return asked, ""
    found = [shutil.which(name) for name in PYTHONS]
    for python in [sys.executable, *(path for path in found if path)]:
        if _probe(Path(python), module) is None:
            return Path(python), ""
    return None, (
        "no Python here runs tflite-runtime; name one with --interpreter-python, made with: "
        "pip install tflite-runtime==2.14.0 'numpy<2'"
    )


def _probe(python: Path, module: str) -> str | None:
    """None if that Python imports the module, else why not."""
    try:
        result = subprocess.run(
            [str(python), "-I", "-c", PROBE, module],
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if result.returncode == 0:
        return None
    return last_line(result.stderr) or f"it ended with {result.returncode}"
