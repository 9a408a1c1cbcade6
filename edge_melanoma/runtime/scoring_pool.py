"""Several .tflite models over the same decoded pictures, in one process a core for all of them."""

import os
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.machine.child_process import child_died, make_pool
from edge_melanoma.runtime.decoded_images import DecodedImages
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession, open_limited_session

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
