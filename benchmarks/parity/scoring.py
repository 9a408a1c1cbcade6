"""All models of a bench over the same pictures: Keras first, then each exported file."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import (
    PredictionSet,
    make_prediction_set,
    predictions_to_csv,
    read_predictions,
)
from edge_melanoma.machine.environment import package_version
from edge_melanoma.machine.files import write_atomically
from edge_melanoma.machine.ray import RayWorkers
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.runs.models import ConvertedModel, TrainedModel
from edge_melanoma.runtime.classifiers import (
    DecodedImages,
    KerasClassifier,
    decoded,
    open_network,
    open_sessions,
    score_file,
)
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession, try_model
from edge_melanoma.runtime.names import Runtime

REFERENCE = "keras"

T = TypeVar("T")


def write_scores(folder: Path, scores: Mapping[str, PredictionSet]) -> None:
    """A file of predictions for each mode, the reference's among them."""
    for mode, predictions in scores.items():
        write_atomically(folder / f"predictions_{mode}.csv", predictions_to_csv(predictions))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """Scores every model on `records`; what is finished stays in `finished` when it is stopped.

    `is_test_side` tells whether these are the pictures whose scores the training stored.
    """

    run: TrainedModel
    runtime: Runtime
    records: tuple[LesionRecord, ...]
    is_test_side: bool
    reporter: Reporter
    ray: RayWorkers | None = None
    finished: dict[str, PredictionSet] = field(default_factory=dict)

    def score(self, exports: Sequence[ConvertedModel]) -> dict[str, PredictionSet]:
        """The predictions by mode, the reference under `keras`.

        On this machine every picture is decoded once for all models.
        """
        for model in exports:
            try_model(model, runtime=self.runtime)
        paths = [record.path for record in self.records]
        if self.ray is not None:
            self._score_all(exports, paths, score_file, None)
            return self.finished
        with decoded(paths, reporter=self.reporter) as images:
            self._score_all(exports, range(images.count), images.score, images)
        return self.finished

    def _score_all(
        self,
        exports: Sequence[ConvertedModel],
        items: Sequence[T],
        function: Callable[[TFLiteSession, T], float],
        images: DecodedImages | None,
    ) -> None:
        """By the network, then by each file: `function` of the open file and each of `items`."""
        self.finished[REFERENCE] = self._score_reference(images)
        models = {
            model.mode: SessionSettings(data=model.data, name=model.path.name, runtime=self.runtime)
            for model in exports
        }
        with open_sessions(models, self.ray) as sessions:
            for number, mode in enumerate(models, start=1):
                scores = sessions.map(function, items, model=mode)
                label = f"{mode} ({number} of {len(models)})"
                self.finished[mode] = self._predictions(scores, label)

    def _score_reference(self, images: DecodedImages | None) -> PredictionSet:
        """Keras where TensorFlow is installed, else the scores that the training stored."""
        if package_version("tensorflow") is None:
            return self._stored_scores()
        if images is None:
            network = open_network(self.run, self.ray)
            scores = network.stream_scores([record.path for record in self.records])
        else:
            from edge_melanoma.network.network import load_network

            scores = KerasClassifier(load_network(self.run)).stream_decoded(images)
        return self._predictions(scores, "Keras")

    def _predictions(self, scores: Iterator[float], label: str) -> PredictionSet:
        tracked = self.reporter.track(scores, label=label, total=len(self.records))
        return make_prediction_set(self.records, np.array(list(tracked), dtype=np.float64))

    def _stored_scores(self) -> PredictionSet:
        if not self.is_test_side:
            raise EdgeMelanomaError(
                "bench --data needs the package tensorflow for the reference, which is not "
                "installed; install it with: pip install 'edge-melanoma[train]'"
            )
        self.reporter.say("TensorFlow is not installed: the reference is as the training stored it")
        stored = read_predictions(self.run.folder / "predictions_test.csv")
        position = {image_id: number for number, image_id in enumerate(stored.image_ids)}
        chosen = [position[record.image_id] for record in self.records]
        return PredictionSet(
            image_ids=tuple(record.image_id for record in self.records),
            labels=stored.labels[chosen],
            scores=stored.scores[chosen],
        )
