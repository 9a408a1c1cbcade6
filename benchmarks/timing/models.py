"""A model open in a process of its own, ready to be timed in short bursts."""

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.images import (
    decode_image,
    read_image,
    read_image_bytes,
    resize_image,
    scale_pixels,
)
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession

UNTIMED_RUNS = 2
"""Before each burst: another model has just had the caches."""

Times = list[tuple[int, ...]]
"""Nanoseconds of each run, a column for each thing that was timed."""


TimedModel = SessionSettings | Path
"""A .tflite file and how to run it, or the run folder of a trained network."""


class KerasSession:
    """The network of a run as one `tf.function` for a single picture.

    TensorFlow takes its number of threads once a process.
    """

    def __init__(self, folder: Path, *, threads: int) -> None:
        from edge_melanoma.machine.tensorflow import tf
        from edge_melanoma.network.network import infer, load_network
        from edge_melanoma.runs.models import open_run

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        run = open_run(folder)
        self._tf, self._network = tf, load_network(run)
        self.image_size = run.image_size
        shape = tf.TensorSpec((1, *self._network.input_shape[1:]), tf.float32)
        self._graph = tf.function(
            lambda inputs: infer(self._network, inputs, views=run.views)[0], input_signature=[shape]
        )
        self._inputs: Any = None

    @property
    def xnnpack_parts(self) -> None:
        """TensorFlow's own kernels."""

    def load_image(self, image: NDArray[np.uint8]) -> None:
        """Scale a picture (image_size, image_size, 3) into a tensor."""
        self._inputs = self._tf.constant(scale_pixels(image[np.newaxis]))

    def invoke(self) -> None:
        """Run the graph and wait for its number."""
        self._graph(self._inputs).numpy()

    def predict(self) -> None:
        """What most people call: the same, with the bookkeeping of Keras around it."""
        self._network.predict(self._inputs, verbose=0)


OpenModel = TFLiteSession | KerasSession
_model: OpenModel | None = None


def open_model(model: TimedModel, *, threads: int) -> OpenModel:
    """Load it here."""
    if isinstance(model, Path):
        return KerasSession(model, threads=threads)
    return TFLiteSession(replace(model, threads=threads))


def open_here(model: TimedModel, threads: int, picture: Path, warmup: int) -> None:
    """In the child: load the model, a picture, and run it `warmup` times untimed.

    An interruption ends the child at once and without a word: the parent tells of it.
    """
    global _model
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _model = open_model(model, threads=threads)
    _model.load_image(read_image(picture, size=_model.image_size))
    for _ in range(warmup):
        _model.invoke()


def count_xnnpack_parts() -> int | None:
    """In the child: how many stretches of the open model's graph XNNPACK runs."""
    return _opened().xnnpack_parts


def time_burst(runs: int) -> Times:
    """In the child: wall and CPU time of `runs` invocations on end."""
    return _time(_opened().invoke, runs)


def time_predict(runs: int) -> Times | None:
    """In the child: the same through Keras' `predict`; none for other models."""
    model = _opened()
    return _time(model.predict, runs) if isinstance(model, KerasSession) else None


def time_files(paths: Sequence[Path]) -> Times:
    """In the child: wall time to decode, to resize and to run each file, and CPU time of all."""
    model, times = _opened(), Times()
    for path in paths:
        cpu, start = time.process_time_ns(), time.perf_counter_ns()
        pixels = decode_image(read_image_bytes(path), name=str(path))
        decoded = time.perf_counter_ns()
        image = resize_image(pixels, size=model.image_size)
        resized = time.perf_counter_ns()
        model.load_image(image)
        model.invoke()
        end = time.perf_counter_ns()
        spent = time.process_time_ns() - cpu
        times.append((decoded - start, resized - decoded, end - resized, spent))
    return times


def _time(run: Callable[[], object], runs: int) -> Times:
    for _ in range(UNTIMED_RUNS):
        run()
    times = Times()
    for _ in range(runs):
        wall, cpu = time.perf_counter_ns(), time.process_time_ns()
        run()
        spent = time.process_time_ns() - cpu
        times.append((time.perf_counter_ns() - wall, spent))
    return times


def _opened() -> OpenModel:
    if _model is None:
        raise RuntimeError("a child process was asked for times before it had a model")
    return _model
