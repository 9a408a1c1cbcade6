"""The two ways to run a model: Keras in this process, TFLite in child processes on all cores.

Several .tflite models over the same decoded pictures, in one process a core for all of them.

Pictures decoded once for all models: one array in a temporary file that processes share.
"""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.images import IMAGE_SIZE, read_image, scale_pixels, stream_images
from edge_melanoma.errors import ChildDiedError, EdgeMelanomaError
from edge_melanoma.machine.processes import child_died, make_pool, map_ahead, run_in_child
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.runtime.interpreters import (
    SessionSettings,
    TFLiteSession,
    load_interpreter_class,
    open_limited_session,
)
from edge_melanoma.runtime.names import PACKAGE_OF_RUNTIME, Runtime

KERAS_BATCH_SIZE = 32
CHUNK_SIZE = 16
"""Pictures a child takes at once: few enough that all cores end together."""


class KerasClassifier:
    """The trained network itself."""

    def __init__(self, network: Any) -> None:
        from edge_melanoma.network.network import compile_forward

        self._forward = compile_forward(network)

    def malignant_scores(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """P(malignant), shape (n,), for RGB pictures (n, 224, 224, 3)."""
        return self._forward(scale_pixels(images))[:, 0].astype(np.float64)

    def stream_scores(self, files: Sequence[Path]) -> Iterator[float]:
        """P(malignant) of each file, in order, as they come."""
        for images in stream_images(files, batch_size=KERAS_BATCH_SIZE):
            yield from self.malignant_scores(images).tolist()


class TFLiteClassifier:
    """A .tflite file, run image by image in one single-threaded child process a core.

    Use it as a context manager: leaving it ends the children.
    """

    def __init__(self, data: bytes, *, name: str, runtime: Runtime, workers: int = 0) -> None:
        settings = SessionSettings(data=data, name=name, runtime=runtime)
        self._pool = make_pool(
            workers or os.cpu_count() or 1, initializer=_prepare_child, initargs=(settings,)
        )

    def __enter__(self) -> "TFLiteClassifier":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def malignant_scores(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """P(malignant), shape (n,), for RGB pictures (n, 224, 224, 3)."""
        chunks = [images[i : i + CHUNK_SIZE] for i in range(0, len(images), CHUNK_SIZE)]
        return np.array([s for scores in self._map(_score_images, chunks) for s in scores])

    def stream_scores(self, files: Sequence[Path]) -> Iterator[float]:
        """P(malignant) of each file, in order, as they come; the children decode too."""
        chunks = [list(files[i : i + CHUNK_SIZE]) for i in range(0, len(files), CHUNK_SIZE)]
        for scores in self._map(_score_files, chunks):
            yield from scores

    def _map(self, function: Any, chunks: Sequence[Any]) -> Iterator[list[float]]:
        try:
            yield from map_ahead(self._pool, function, chunks)
        except BrokenProcessPool as error:
            raise child_died() from error


def choose_runtime(wanted: Runtime | None) -> Runtime:
    """`wanted`, or the first of the interpreters that runs here.

    Raises:
        EdgeMelanomaError: it does not run here; the sentence says why and what to install.
    """
    for runtime in [wanted] if wanted else list(Runtime):
        reason = probe_runtime(runtime)
        if reason is None:
            return runtime
    package = PACKAGE_OF_RUNTIME[wanted or Runtime.LITERT]
    raise EdgeMelanomaError(
        f"The interpreter {wanted or 'ai_edge_litert'} does not run here: {reason}; "
        f"install it with: pip install {package}"
    )


@cache
def probe_runtime(runtime: Runtime) -> str | None:
    """None if the interpreter loads in a process of its own, else the reason why not.

    Constructing is what shows it: tflite-runtime imports beside NumPy 2 and fails only later.
    """
    try:
        run_in_child(_probe, runtime)
    except ChildDiedError:
        return "its process died"
    except (EdgeMelanomaError, ImportError, SystemError, AttributeError) as error:
        return str(error).strip().splitlines()[0]
    return None


def _probe(runtime: Runtime) -> None:
    try:
        load_interpreter_class(runtime)(model_content=b"")
    except (ValueError, RuntimeError):
        # An interpreter that refuses an empty model is one that works.
        return


_session: TFLiteSession | EdgeMelanomaError | None = None


def _prepare_child(settings: SessionSettings) -> None:
    """Load the model once a child; a refusal is kept, since an initializer cannot pass it on."""
    global _session
    try:
        _session = open_limited_session(settings)
    except EdgeMelanomaError as error:
        _session = error


def _session_here() -> TFLiteSession:
    if isinstance(_session, EdgeMelanomaError):
        raise _session
    if _session is None:
        raise RuntimeError("a child process scored before it was prepared")
    return _session


def _score_images(images: NDArray[np.uint8]) -> list[float]:
    session = _session_here()
    return [session.score(image) for image in images]


def _score_files(files: list[Path]) -> list[float]:
    session = _session_here()
    return [session.score(read_image(file)) for file in files]


def score_with_integers(
    settings: SessionSettings, files: Sequence[Path]
) -> list[tuple[float, int | None]]:
    """P(malignant) of each file, and the integer that a quantised output gave for it."""
    return run_in_child(_score_with_integers, settings, list(files))


def _score_with_integers(
    settings: SessionSettings, files: list[Path]
) -> list[tuple[float, int | None]]:
    session = open_limited_session(settings)
    is_float = session.output_quantization.is_float
    return [
        (session.score(read_image(file)), None if is_float else int(session.raw_output()[0]))
        for file in files
    ]


BYTES_AN_IMAGE = IMAGE_SIZE * IMAGE_SIZE * 3
BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedImages:
    """A file of uint8 pixels (count, 224, 224, 3); small enough to be sent to a child process."""

    path: Path
    count: int

    def open(self) -> NDArray[np.uint8]:
        """The pixels, mapped and not read: every process shares the system's one copy."""
        shape = (self.count, IMAGE_SIZE, IMAGE_SIZE, 3)
        return np.memmap(self.path, dtype=np.uint8, mode="r", shape=shape)


@contextmanager
def decoded(paths: Sequence[Path], *, reporter: Reporter) -> Iterator[DecodedImages]:
    """Decode and resize all of `paths` in their order; the file is gone afterwards.

    Raises:
        EdgeMelanomaError: the temporary folder has not enough room, or a picture is broken.
    """
    with tempfile.TemporaryDirectory(prefix="edge-melanoma-") as folder:
        _refuse_small_disk(Path(folder), len(paths))
        images = DecodedImages(path=Path(folder) / "images.uint8", count=len(paths))
        batches = stream_images(paths, batch_size=BATCH)
        ones = (image for batch in batches for image in batch)
        with images.path.open("wb") as stream:
            for image in reporter.track(ones, label="Decoding", total=len(paths)):
                stream.write(image.tobytes())
        yield images


def _refuse_small_disk(folder: Path, count: int) -> None:
    needed, free = count * BYTES_AN_IMAGE, shutil.disk_usage(folder).free
    if needed > free:
        raise EdgeMelanomaError(
            f"The decoded pixels of {count} images need {needed / 1e6:.3g} MB in "
            f"{folder.parent}, which has {free / 1e6:.3g} MB free; make room, set TMPDIR to "
            f"another folder, or take fewer images with --limit."
        )


CHUNK = 16
"""Pictures a process takes at once: few enough that all cores end together."""

_models: Mapping[str, SessionSettings] = {}
_pixels: NDArray[np.uint8] = np.empty((0, 0, 0, 3), np.uint8)
_sessions: dict[str, TFLiteSession] = {}


class ScoringPool:
    """One single-threaded process a core that holds the pictures and opens models when asked.

    Use it as a context manager: leaving it ends the processes.
    """

    def __init__(
        self, models: Mapping[str, SessionSettings], images: DecodedImages, *, workers: int = 0
    ) -> None:
        self._count = images.count
        self._pool = make_pool(
            workers or os.cpu_count() or 1, initializer=_prepare, initargs=(models, images)
        )

    def __enter__(self) -> "ScoringPool":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def stream_scores(self, name: str) -> Iterator[float]:
        """P(malignant) of every picture by the model `name`, in order, as they come.

        Raises:
            EdgeMelanomaError: the interpreter refuses the model, or dies of it.
        """
        starts = range(0, self._count, CHUNK)
        futures = [self._pool.submit(_score_chunk, name, start) for start in starts]
        try:
            for future in futures:
                yield from future.result()
        except BrokenProcessPool as error:
            raise child_died() from error


def _prepare(models: Mapping[str, SessionSettings], images: DecodedImages) -> None:
    """In a child, which an interruption ends at once and without a word: the parent tells of it."""
    global _models, _pixels
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _models, _pixels = models, images.open()


def _score_chunk(name: str, start: int) -> list[float]:
    if name not in _sessions:
        # One at a time: the models of a bench come one after another.
        _sessions.clear()
        _sessions[name] = open_limited_session(_models[name])
    session = _sessions[name]
    return [session.score(image) for image in _pixels[start : start + CHUNK]]
