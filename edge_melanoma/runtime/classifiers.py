"""The two ways to run a model: Keras in this process, TFLite in child processes on all cores."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.image_files import ImageFile
from edge_melanoma.data.images import read_image, scale_pixels, stream_images
from edge_melanoma.errors import ChildDiedError, EdgeMelanomaError
from edge_melanoma.machine.ahead import map_ahead
from edge_melanoma.machine.child_process import child_died, make_pool, run_in_child
from edge_melanoma.runtime.interpreters import (
    SessionSettings,
    TFLiteSession,
    load_interpreter_class,
    open_limited_session,
)
from edge_melanoma.runtime.runtimes import PACKAGE_OF_RUNTIME, Runtime

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

    def stream_scores(self, files: Sequence[ImageFile]) -> Iterator[float]:
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

    def stream_scores(self, files: Sequence[ImageFile]) -> Iterator[float]:
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


def _score_files(files: list[ImageFile]) -> list[float]:
    session = _session_here()
    return [session.score(read_image(file)) for file in files]


def score_with_integers(
    settings: SessionSettings, files: Sequence[ImageFile]
) -> list[tuple[float, int | None]]:
    """P(malignant) of each file, and the integer that a quantised output gave for it."""
    return run_in_child(_score_with_integers, settings, list(files))


def _score_with_integers(
    settings: SessionSettings, files: list[ImageFile]
) -> list[tuple[float, int | None]]:
    session = open_limited_session(settings)
    is_float = session.output_quantization.is_float
    return [
        (session.score(read_image(file)), None if is_float else int(session.raw_output()[0]))
        for file in files
    ]
