"""Many pictures through models: a network of Keras in this process, .tflite files in others.

A `SessionPool` has one single-threaded process a core, in which models are open; a function of an
open model and a picture says what is done with it. `ray_scoring` has the same over many machines.
"""

import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.faults import measure_faults
from edge_melanoma.data.images import (
    IMAGE_SIZE,
    UnreadableImageError,
    read_image,
    scale_pixels,
    stream_images,
)
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.processes import ProcessPool, map_ahead
from edge_melanoma.machine.ray import RayWorkers
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.runtime.interpreters import Answer, SessionSettings, TFLiteSession, answer_file
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.tflite.ends import PLAIN, Ends
from edge_melanoma.tflite.gate import GateRule, Placed

if TYPE_CHECKING:
    from edge_melanoma.network.gate import Gate

T = TypeVar("T")
R = TypeVar("R")

KERAS_BATCH_SIZE = 32
CHUNK_SIZE = 16
"""Pictures a process takes at once: few enough that all cores end together."""


class Classifier(ABC):
    """Anything that gives P(malignant) for pictures."""

    @abstractmethod
    def stream_answers(self, files: Sequence[Path]) -> Iterator[Answer | UnreadableImageError]:
        """What the model says of each image file, or why it cannot be read, in order."""

    def stream_scores(self, files: Sequence[Path]) -> Iterator[float]:
        """P(malignant) of each image file, in order, as they come.

        Raises:
            UnreadableImageError: one of them cannot be read.
        """
        for answer in self.stream_answers(files):
            if isinstance(answer, UnreadableImageError):
                raise answer
            yield answer.score


class Sessions(ExitStack, ABC):
    """Models that are open in several processes; a context manager that ends these."""

    @abstractmethod
    def map(
        self, function: Callable[[TFLiteSession, T], R], items: Sequence[T], *, model: str
    ) -> Iterator[R]:
        """`function` of the model of that name and each of `items`, in order, as they come.

        Raises:
            EdgeMelanomaError: the interpreter refuses the model or dies of it, or the function
                raised this.
        """


def open_sessions(models: Mapping[str, SessionSettings], ray: RayWorkers | None) -> Sessions:
    """Of models by name: on all cores of this machine, or by Ray.

    Raises:
        EdgeMelanomaError: Ray is not installed, or no cluster answers.
    """
    if ray is None:
        return SessionPool(models)
    from edge_melanoma.runtime.ray_scoring import RaySessions

    return RaySessions(models, ray)


class SessionPool(Sessions):
    """One process a core; each opens a model when it is asked for, and keeps the last one."""

    def __init__(self, models: Mapping[str, SessionSettings], *, workers: int = 0) -> None:
        super().__init__()
        workers = workers or os.cpu_count() or 1
        self._pool = ProcessPool(workers, begin=(_know, (models,), {}))
        self.callback(self._pool.shutdown, cancel_futures=True)

    def map(
        self, function: Callable[[TFLiteSession, T], R], items: Sequence[T], *, model: str
    ) -> Iterator[R]:
        """As `Sessions` has it."""
        chunks = [items[start : start + CHUNK_SIZE] for start in range(0, len(items), CHUNK_SIZE)]
        for results in map_ahead(self._pool, partial(_run_chunk, model, function), chunks):
            yield from results


_models: dict[str, SessionSettings] = {}
"""In a child: what can be opened."""

_sessions: dict[str, TFLiteSession] = {}
"""In a child: the one that is open."""


def _know(models: Mapping[str, SessionSettings]) -> None:
    _models.update(models)


def _run_chunk(model: str, function: Callable[[TFLiteSession, T], R], chunk: list[T]) -> list[R]:
    if model not in _sessions:
        _sessions.clear()
        _sessions[model] = _models[model].open()
    return [function(_sessions[model], item) for item in chunk]


def _read_or_error(file: Path, *, size: int) -> NDArray[np.uint8] | UnreadableImageError:
    try:
        return read_image(file, size=size)
    except UnreadableImageError as error:
        return error


def score_file(session: TFLiteSession, file: Path) -> float:
    """P(malignant) of a picture's file."""
    return session.score(read_image(file, size=session.image_size))


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedImages:
    """A file of uint8 pixels (count, size, size, 3); small enough to be sent to a child process."""

    path: Path
    count: int
    size: int = IMAGE_SIZE

    def open(self) -> NDArray[np.uint8]:
        """The pixels, mapped and not read: every process shares the system's one copy."""
        shape = (self.count, self.size, self.size, 3)
        return np.memmap(self.path, dtype=np.uint8, mode="r", shape=shape)

    def answer(self, session: TFLiteSession, number: int) -> Answer:
        """What a model says of the picture with this number: to be mapped by a pool."""
        return session.answer(self.open()[number])

    def score(self, session: TFLiteSession, number: int) -> float:
        """P(malignant) of it alone."""
        return session.score(self.open()[number])


@contextmanager
def decoded(
    paths: Sequence[Path], *, size: int = IMAGE_SIZE, reporter: Reporter
) -> Iterator[DecodedImages]:
    """Decode and resize all of `paths` in their order, once for several models of one `size`.

    The one file that they are in is gone afterwards.

    Raises:
        EdgeMelanomaError: the temporary folder has not enough room, or a picture is broken.
    """
    with tempfile.TemporaryDirectory(prefix="edge-melanoma-") as folder:
        images = DecodedImages(path=Path(folder) / "images.uint8", count=len(paths), size=size)
        _refuse_small_disk(images)
        batches = stream_images(paths, batch_size=KERAS_BATCH_SIZE, size=size)
        ones = (image for batch in batches for image in batch)
        with images.path.open("wb") as stream:
            for image in reporter.track(ones, label="Decoding", total=len(paths)):
                stream.write(image.tobytes())
        yield images


def _refuse_small_disk(images: DecodedImages) -> None:
    folder, needed = images.path.parent, images.count * images.size**2 * 3
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise EdgeMelanomaError(
            f"The decoded pixels of {images.count} images need {needed / 1e6:.3g} MB in "
            f"{folder.parent}, which has {free / 1e6:.3g} MB free; make room, set TMPDIR to "
            f"another folder, or take fewer images with --limit."
        )


class TFLiteClassifier(Classifier, ExitStack):
    """One .tflite file in `Sessions` of its own: a context manager."""

    def __init__(
        self,
        data: bytes,
        *,
        name: str,
        runtime: Runtime,
        ray: RayWorkers | None = None,
        ends: Ends = PLAIN,
        gate: GateRule | None = None,
    ) -> None:
        super().__init__()
        settings = SessionSettings(data=data, name=name, runtime=runtime, ends=ends, gate=gate)
        self._name, self._sessions = name, open_sessions({name: settings}, ray)

    def __enter__(self) -> Self:
        self.enter_context(self._sessions)
        return self

    def stream_answers(self, files: Sequence[Path]) -> Iterator[Answer | UnreadableImageError]:
        """As every classifier does; the children decode too."""
        return self._sessions.map(answer_file, files, model=self._name)


class KerasClassifier(Classifier):
    """The trained network itself."""

    def __init__(self, network: Any, *, views: int = 1, gate: "Gate | None" = None) -> None:
        from edge_melanoma.network.gate import with_gate
        from edge_melanoma.network.network import compile_forward

        self._gate = gate
        seen = network if gate is None else with_gate(network, gate)
        self._forward = compile_forward(seen, views=views)
        self._read = partial(_read_or_error, size=int(network.input_shape[1]))

    def malignant_scores(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """P(malignant), shape (n,), for RGB pictures (n, 224, 224, 3)."""
        return self._forward(scale_pixels(images))[:, 0].astype(np.float64)

    def answers(self, images: NDArray[np.uint8]) -> Iterator[Answer]:
        """The same, and with a gate where each picture lies."""
        found = self._forward(scale_pixels(images)).astype(np.float64)
        scores = found[:, 0].tolist()
        if self._gate is None:
            yield from (Answer(score=score, integer=None) for score in scores)
            return
        rule = self._gate.rule
        for image, score, distance in zip(
            images, scores, rule.distances(found[:, 1:]).tolist(), strict=True
        ):
            placed = Placed(distance=distance, limit=rule.limit)
            measures = measure_faults(image)
            yield Answer(score=score, integer=None, placed=placed, measures=measures)

    def stream_answers(self, files: Sequence[Path]) -> Iterator[Answer | UnreadableImageError]:
        """As every classifier does; threads read ahead."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            read = map_ahead(pool, self._read, files, ahead=2 * KERAS_BATCH_SIZE)
            while batch := list(islice(read, KERAS_BATCH_SIZE)):
                images = [found for found in batch if not isinstance(found, UnreadableImageError)]
                answers = self.answers(np.stack(images)) if images else iter(())
                for found in batch:
                    yield found if isinstance(found, UnreadableImageError) else next(answers)

    def stream_decoded(self, images: DecodedImages) -> Iterator[Answer]:
        """The same of pictures that are decoded already."""
        pixels = images.open()
        for start in range(0, images.count, KERAS_BATCH_SIZE):
            yield from self.answers(pixels[start : start + KERAS_BATCH_SIZE])


def open_network(run: TrainedModel, ray: RayWorkers | None) -> Classifier:
    """The network of a run: here, or in each of Ray's actors."""
    if ray is None:
        return open_keras(run)
    from edge_melanoma.runtime.ray_scoring import RayNetwork

    return RayNetwork(run.folder, ray)


def open_keras(run: TrainedModel) -> KerasClassifier:
    """The network of a run with its gate, in this process."""
    from edge_melanoma.network.gate import read_gate
    from edge_melanoma.network.network import load_network

    return KerasClassifier(load_network(run), views=run.views, gate=read_gate(run))
