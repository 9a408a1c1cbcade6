"""How long one picture takes: warm-up, then single invocations, timed one by one."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.child_process import run_in_child
from edge_melanoma.interpreters import SessionSettings, TFLiteSession

NANOSECONDS_A_MILLISECOND = 1e6
PERCENTILES = (50, 90, 99)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySamples:
    """Raw nanoseconds of every timed invocation, by wall clock and by CPU time of all threads.

    Raises:
        ValueError: fewer than 2 samples.
    """

    wall_ns: tuple[int, ...]
    cpu_ns: tuple[int, ...]
    warmup: int
    threads: int

    def __post_init__(self) -> None:
        if len(self.wall_ns) < 2 or len(self.wall_ns) != len(self.cpu_ns):
            raise ValueError("Latency needs at least 2 samples, each with wall and CPU time.")

    def percentile_ms(self, share: float) -> float:
        """A percentile of the wall times, in milliseconds."""
        return float(np.percentile(self.wall_ns, share)) / NANOSECONDS_A_MILLISECOND

    @property
    def cpu_p50_ms(self) -> float:
        """The median CPU time, in milliseconds: what a noisy machine changes least."""
        return float(np.percentile(self.cpu_ns, 50)) / NANOSECONDS_A_MILLISECOND

    def as_dict(self) -> dict[str, float]:
        """For parity.json; times in milliseconds."""
        wall = {f"p{share}": self.percentile_ms(share) for share in PERCENTILES}
        counts = {"runs": len(self.wall_ns), "warmup": self.warmup, "threads": self.threads}
        return wall | {"cpu_p50": self.cpu_p50_ms} | counts


def time_tflite(
    settings: SessionSettings, image: NDArray[np.uint8], *, runs: int, warmup: int
) -> LatencySamples:
    """Time a .tflite model on one picture (224, 224, 3), in a process of its own."""
    return run_in_child(_time_tflite, settings, image, runs, warmup)


def time_keras(
    run_folder: Path, image: NDArray[np.uint8], *, runs: int, warmup: int, threads: int
) -> LatencySamples:
    """Time the trained network as a compiled graph of fixed shape, in a process of its own.

    `predict` would add its own 70 ms of bookkeeping to every call: no fair reference.
    """
    return run_in_child(_time_keras, run_folder, image, runs, warmup, threads)


def _time_tflite(
    settings: SessionSettings, image: NDArray[np.uint8], runs: int, warmup: int
) -> LatencySamples:
    session = TFLiteSession(settings)
    session.load_image(image)
    return _time(session.invoke, runs=runs, warmup=warmup, threads=settings.threads)


def _time_keras(
    run_folder: Path, image: NDArray[np.uint8], runs: int, warmup: int, threads: int
) -> LatencySamples:
    from edge_melanoma.artifacts import open_run
    from edge_melanoma.images import scale_pixels
    from edge_melanoma.network import load_network
    from edge_melanoma.tensorflow_runtime import tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    network = load_network(open_run(run_folder))
    inputs = tf.constant(scale_pixels(image[np.newaxis]))
    graph = tf.function(lambda: network(inputs, training=False))
    return _time(lambda: graph().numpy(), runs=runs, warmup=warmup, threads=threads)


def _time(invoke: Callable[[], object], *, runs: int, warmup: int, threads: int) -> LatencySamples:
    for _ in range(warmup):
        invoke()
    wall, cpu = [], []
    for _ in range(runs):
        wall_start, cpu_start = time.perf_counter_ns(), time.process_time_ns()
        invoke()
        cpu.append(time.process_time_ns() - cpu_start)
        wall.append(time.perf_counter_ns() - wall_start)
    return LatencySamples(wall_ns=tuple(wall), cpu_ns=tuple(cpu), warmup=warmup, threads=threads)
