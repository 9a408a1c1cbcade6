"""Models in Ray's actors, on one machine or several: what `classifiers` has, in other processes.

Pictures are opened where the actors are: their files, and the folder of a run, have to be there
under the same names. The bytes of a .tflite file are sent along.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from edge_melanoma.data.images import UnreadableImageError
from edge_melanoma.machine.ray import RayWorkers, connect, map_by_ray, map_in_actors
from edge_melanoma.runtime import classifiers
from edge_melanoma.runtime.interpreters import Answer, SessionSettings, TFLiteSession

T = TypeVar("T")
R = TypeVar("R")


class RaySessions(classifiers.Sessions):
    """Each actor opens a model at its first pictures; Ray is left with the context."""

    def __init__(self, models: Mapping[str, SessionSettings], workers: RayWorkers) -> None:
        super().__init__()
        self._models, self._workers = models, workers
        self._ray: Any = None

    def __enter__(self) -> Self:
        context = connect(self._workers.address, workers=self._workers.count or 0)
        self._ray = self.enter_context(context)
        return self

    def map(
        self, function: Callable[[TFLiteSession, T], R], items: Sequence[T], *, model: str
    ) -> Iterator[R]:
        """As `classifiers.Sessions` has it."""
        make = partial(_open_model, self._models[model], function)
        return map_in_actors(self._ray, make, items, self._workers)


class RayNetwork(classifiers.Classifier):
    """The trained network of a run, of which every actor has its own."""

    def __init__(self, folder: Path, workers: RayWorkers) -> None:
        self._folder, self._workers = folder.resolve(), workers

    def stream_answers(self, files: Sequence[Path]) -> Iterator[Answer | UnreadableImageError]:
        """As every classifier does, in the batches that one process makes of the files."""
        starts = range(0, len(files), classifiers.KERAS_BATCH_SIZE)
        batches = [files[start : start + classifiers.KERAS_BATCH_SIZE] for start in starts]
        for answers in map_by_ray(partial(_open_network, self._folder), batches, self._workers):
            yield from answers


def _open_model(
    settings: SessionSettings, function: Callable[[TFLiteSession, T], R]
) -> Callable[[T], R]:
    return partial(function, settings.open())


def _open_network(folder: Path) -> Callable[[Sequence[Path]], list[Answer | UnreadableImageError]]:
    from edge_melanoma.runs.models import open_run

    network = classifiers.open_keras(open_run(folder))
    return lambda files: list(network.stream_answers(files))
