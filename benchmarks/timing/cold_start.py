"""What the first picture costs: a fresh process that loads a model and runs it once."""

import importlib
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.benchmarks.timing.models import TimedModel, open_model
from edge_melanoma.machine.processes import run_in_child, stderr_discarded
from edge_melanoma.runtime import interpreters

MEGABYTE = 1e6
KIBIBYTE = 1024
STARTS = 3
"""Of each model, unless a pass of its timing has fewer runs than that."""


def measure_cold_start(
    model: TimedModel, image: NDArray[np.uint8], *, threads: int, starts: int
) -> dict[str, Any]:
    """Start `starts` processes one after another; the one with the median total counts.

    For parity.json, wall milliseconds of each step and memory in MB; the file lies in the system's
    cache already. `import_ms` is the interpreter's or TensorFlow's own start, `allocate_ms` is none
    where loading and allocating are one step, `rss_before_mb` is the process with the runtime
    imported and no model yet, and `total_ms` runs from there to the first score.
    """
    found = [run_in_child(_start, model, image, threads) for _ in range(starts)]
    return sorted(found, key=itemgetter("total_ms"))[(starts - 1) // 2]


def peak_rss_mb() -> float:
    """This process's memory at most so far, in megabytes.

    Linux hands the peak of a parent on to `ru_maxrss`, so that its own figure is asked first.
    """
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * KIBIBYTE / MEGABYTE
    unit = 1 if sys.platform == "darwin" else KIBIBYTE
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEGABYTE


def _start(model: TimedModel, image: NDArray[np.uint8], threads: int) -> dict[str, Any]:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if isinstance(model, Path):
        return _start_keras(model, image, threads)
    return _start_tflite(model, image, threads)


def _start_tflite(
    settings: interpreters.SessionSettings, image: NDArray[np.uint8], threads: int
) -> dict[str, Any]:
    """Step by step, unlike a session, which loads and allocates at once."""
    interpreter_class, import_ms = _timed(
        lambda: interpreters.load_interpreter_class(settings.runtime)
    )
    before = peak_rss_mb()
    with stderr_discarded():
        interpreter, load_ms = _timed(
            lambda: interpreter_class(model_content=settings.data, num_threads=threads)
        )
        _, allocate_ms = _timed(interpreter.allocate_tensors)
    details = interpreter.get_input_details()[0]
    pixels = interpreters.quantization_of(details).pixel_table().take(image)
    interpreter.set_tensor(details["index"], pixels[np.newaxis])
    _, first_invoke_ms = _timed(interpreter.invoke)
    return _told(before, import_ms, load_ms, allocate_ms, first_invoke_ms)


def _start_keras(run_folder: Path, image: NDArray[np.uint8], threads: int) -> dict[str, Any]:
    """The import of the network's module is that of TensorFlow."""
    _, import_ms = _timed(lambda: importlib.import_module("edge_melanoma.network.network"))
    before = peak_rss_mb()
    session, load_ms = _timed(lambda: open_model(run_folder, threads=threads))
    session.load_image(image)
    _, first_invoke_ms = _timed(session.invoke)
    return _told(before, import_ms, load_ms, None, first_invoke_ms)


def _told(
    before: float, import_ms: float, load_ms: float, allocate_ms: float | None, invoke_ms: float
) -> dict[str, Any]:
    return {
        "import_ms": import_ms,
        "load_ms": load_ms,
        "allocate_ms": allocate_ms,
        "first_invoke_ms": invoke_ms,
        "peak_rss_mb": peak_rss_mb(),
        "rss_before_mb": before,
        "total_ms": load_ms + (allocate_ms or 0.0) + invoke_ms,
    }


def _timed(step: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = step()
    return result, (time.perf_counter() - start) * 1000
