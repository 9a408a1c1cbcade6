"""What the first picture costs: a fresh process that loads a model and runs it once."""

import resource
import signal
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.benchmarks.timing.models import KerasRun, TFLiteFile, TimedModel
from edge_melanoma.machine.processes import run_in_child, stderr_discarded
from edge_melanoma.runtime.interpreters import load_interpreter_class, quantization_of

MEGABYTE = 1e6
KIBIBYTE = 1024
STARTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """Wall milliseconds of each step of a fresh process, and its memory at most.

    The file lies in the system's cache already. `import_ms` is the interpreter's or TensorFlow's
    own start; `allocate_ms` is none where loading and allocating are one step. `rss_before_mb` is
    the process with the runtime imported and no model yet.
    """

    import_ms: float
    load_ms: float
    allocate_ms: float | None
    first_invoke_ms: float
    peak_rss_mb: float
    rss_before_mb: float

    @property
    def total_ms(self) -> float:
        """From an imported runtime to the first score."""
        return self.load_ms + (self.allocate_ms or 0.0) + self.first_invoke_ms

    def as_dict(self) -> dict[str, Any]:
        """For parity.json."""
        return asdict(self) | {"total_ms": self.total_ms}


def measure_cold_start(
    model: TimedModel, image: NDArray[np.uint8], *, threads: int, starts: int = STARTS
) -> ColdStart:
    """Start `starts` processes one after another; the one with the median total counts."""
    found = [run_in_child(_start, model, image, threads) for _ in range(starts)]
    middle = statistics.median_low(start.total_ms for start in found)
    return next(start for start in found if start.total_ms == middle)


def peak_rss_mb() -> float:
    """This process's memory at most so far, in megabytes.

    Linux hands the peak of a parent on to `ru_maxrss`, so that its own figure is asked first.
    """
    own = _own_peak_kib()
    if own is None:
        unit = 1 if sys.platform == "darwin" else KIBIBYTE
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEGABYTE
    return own * KIBIBYTE / MEGABYTE


def _own_peak_kib() -> int | None:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), None)


def _start(model: TimedModel, image: NDArray[np.uint8], threads: int) -> ColdStart:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if isinstance(model, TFLiteFile):
        return _start_tflite(model, image, threads)
    if isinstance(model, KerasRun):
        return _start_keras(model, image, threads)
    raise TypeError(f"no cold start is known for {type(model).__name__}")


def _start_tflite(model: TFLiteFile, image: NDArray[np.uint8], threads: int) -> ColdStart:
    """Step by step, unlike a session, which loads and allocates at once."""
    settings = model.settings
    interpreter_class, import_ms = _timed(lambda: load_interpreter_class(settings.runtime))
    before = peak_rss_mb()
    with stderr_discarded():
        interpreter, load_ms = _timed(
            lambda: interpreter_class(model_content=settings.data, num_threads=threads)
        )
        _, allocate_ms = _timed(interpreter.allocate_tensors)
    details = interpreter.get_input_details()[0]
    pixels = quantization_of(details).pixel_table().take(image)
    interpreter.set_tensor(details["index"], pixels[np.newaxis])
    _, first_invoke_ms = _timed(interpreter.invoke)
    return ColdStart(
        import_ms=import_ms,
        load_ms=load_ms,
        allocate_ms=allocate_ms,
        first_invoke_ms=first_invoke_ms,
        peak_rss_mb=peak_rss_mb(),
        rss_before_mb=before,
    )


def _start_keras(model: KerasRun, image: NDArray[np.uint8], threads: int) -> ColdStart:
    _, import_ms = _timed(_import_network)
    before = peak_rss_mb()
    session, load_ms = _timed(lambda: model.open(threads=threads))
    session.load_image(image)
    _, first_invoke_ms = _timed(session.invoke)
    return ColdStart(
        import_ms=import_ms,
        load_ms=load_ms,
        allocate_ms=None,
        first_invoke_ms=first_invoke_ms,
        peak_rss_mb=peak_rss_mb(),
        rss_before_mb=before,
    )


def _import_network() -> None:
    import edge_melanoma.network.network  # noqa: F401  # its import of TensorFlow is what is timed


def _timed(step: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = step()
    return result, (time.perf_counter() - start) * 1000
