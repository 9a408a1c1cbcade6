"""All models of a bench over the same pictures: Keras first, then each exported file."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.images import UnreadableImageError
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.errors import EdgeMelanomaError, NoProbabilityError, install_command
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
from edge_melanoma.runs.converted import ConvertedModel
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.runtime import classifiers
from edge_melanoma.runtime.interpreters import Answer, SessionSettings, TFLiteSession, answer_file
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.runtime.trial import try_model

REFERENCE = "keras"

T = TypeVar("T")


def answer_or_nan(
    function: Callable[[TFLiteSession, T], Answer], session: TFLiteSession, item: T
) -> Answer:
    """In a child: what the file says, or a score of NaN where it gives no probability."""
    try:
        return function(session, item)
    except NoProbabilityError:
        return Answer(score=math.nan, integer=None)


def answer_readable(session: TFLiteSession, file: Path) -> Answer:
    """In a child: what the file says of a picture that can be read.

    Raises:
        UnreadableImageError: it cannot.
    """
    return _readable(answer_file(session, file))


def _readable(answer: Answer | UnreadableImageError) -> Answer:
    if isinstance(answer, UnreadableImageError):
        raise answer
    return answer


def write_scores(folder: Path, scores: Mapping[str, PredictionSet]) -> None:
    """A file of predictions for each mode, the reference's among them."""
    for mode, predictions in scores.items():
        write_atomically(folder / f"predictions_{mode}.csv", predictions_to_csv(predictions))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """Scores a run and its exports on `records`; what is finished stays in `finished` when stopped.

    A picture for which a file gives no probability counts as scored 0; `without_score` has their
    numbers by mode; `refused` has, where a model has a gate, which pictures (n,) it does not judge.
    `is_test_side` tells whether these are the pictures whose scores the training stored.
    """

    run: TrainedModel
    exports: Sequence[ConvertedModel]
    runtime: Runtime
    records: tuple[LesionRecord, ...]
    is_test_side: bool
    reporter: Reporter
    ray: RayWorkers | None = None
    finished: dict[str, PredictionSet] = field(default_factory=dict)
    without_score: dict[str, int] = field(default_factory=dict)
    refused: dict[str, NDArray[np.bool_]] = field(default_factory=dict)

    def score(self) -> dict[str, PredictionSet]:
        """The predictions by mode, the reference under `keras`.

        On this machine every picture is decoded once for all models.
        """
        for model in self.exports:
            with suppress(NoProbabilityError):  # what is scored below tells it, picture by picture
                try_model(model, runtime=self.runtime)
        paths = [record.path for record in self.records]
        if self.ray is not None:
            return self._score_all(paths, answer_readable, None)
        size = self.run.image_size
        with classifiers.decoded(paths, size=size, reporter=self.reporter) as images:
            return self._score_all(range(images.count), images.answer, images)

    def session_settings(self) -> dict[str, SessionSettings]:
        """How each file is run, by mode."""
        return {
            model.mode: SessionSettings(
                data=model.data, name=model.path.name, runtime=self.runtime, gate=model.gate
            )
            for model in self.exports
        }

    def compare_gates(self, mode: str) -> dict[str, int] | None:
        """How many pictures the network and a file refuse, and which only one of them does.

        None where one of the two has no gate.
        """
        if not {REFERENCE, mode} <= self.refused.keys():
            return None
        before, after = self.refused[REFERENCE], self.refused[mode]
        return {
            "reference_refused": int(before.sum()),
            "candidate_refused": int(after.sum()),
            "newly_refused": int((after & ~before).sum()),
            "newly_judged": int((before & ~after).sum()),
        }

    def _score_all(
        self,
        items: Sequence[T],
        function: Callable[[TFLiteSession, T], Answer],
        images: classifiers.DecodedImages | None,
    ) -> dict[str, PredictionSet]:
        """By the network, then by each file: `function` of the open file and each of `items`."""
        self.finished[REFERENCE] = self._score_reference(images)
        models = self.session_settings()
        with classifiers.open_sessions(models, self.ray) as sessions:
            for number, mode in enumerate(models, start=1):
                answers = sessions.map(partial(answer_or_nan, function), items, model=mode)
                label = f"{mode} ({number} of {len(models)})"
                self.finished[mode] = self._predictions(mode, answers, label)
        return self.finished

    def _score_reference(self, images: classifiers.DecodedImages | None) -> PredictionSet:
        """Keras where TensorFlow is installed, else the scores that the training stored."""
        if package_version("tensorflow") is None:
            return self._stored_scores()
        if images is None:
            network = classifiers.open_network(self.run, self.ray)
            answers = network.stream_answers([record.path for record in self.records])
        else:
            answers = classifiers.open_keras(self.run).stream_decoded(images)
        found = self._predictions(REFERENCE, map(_readable, answers), "Keras")
        if missing := self.without_score[REFERENCE]:
            raise EdgeMelanomaError(
                f"The network of {self.run.folder} gives NaN for {missing} of {len(self.records)} "
                f"pictures; there is nothing to compare its files with: train it again."
            )
        return found

    def _predictions(self, mode: str, answers: Iterator[Answer], label: str) -> PredictionSet:
        tracked = list(self.reporter.track(answers, label=label, total=len(self.records)))
        found = np.array([answer.score for answer in tracked], dtype=np.float64)
        placed = [answer.placed for answer in tracked]
        if all(one is not None for one in placed):
            self.refused[mode] = np.array([one is not None and not one.in_domain for one in placed])
        self.without_score[mode] = int(np.isnan(found).sum())
        return make_prediction_set(self.records, np.nan_to_num(found))

    def _stored_scores(self) -> PredictionSet:
        if not self.is_test_side:
            raise EdgeMelanomaError(
                "bench --data needs the package tensorflow for the reference, which is not "
                "installed; install it with: " + install_command("train")
            )
        self.reporter.say("TensorFlow is not installed: the reference is as the training stored it")
        stored = read_predictions(self.run.folder / "predictions_test.csv")
        position = {image_id: number for number, image_id in enumerate(stored.image_ids)}
        chosen = [position[record.image_id] for record in self.records]
        return make_prediction_set(self.records, stored.scores[chosen])
