"""A whole bench's scoring: the same scores as apart, and what an interruption keeps."""

import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CommandResult

from edge_melanoma.benchmarks.parity import scoring
from edge_melanoma.benchmarks.parity.scoring import Scoring, answer_or_nan
from edge_melanoma.errors import EdgeMelanomaError, NoProbabilityError
from edge_melanoma.evaluation.predictions import read_predictions
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.runs.converted import open_converted
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.runs.pictures import read_side
from edge_melanoma.runtime.classifiers import KerasClassifier, SessionPool, TFLiteClassifier
from edge_melanoma.runtime.interpreters import Answer
from edge_melanoma.runtime.names import Runtime


def test_scores_are_those_of_each_model_that_decodes_by_itself(exported_run: TrainedModel) -> None:
    records = read_side(exported_run, "test")
    model = open_converted(exported_run.exports_folder / "model_int8.tflite")
    whole = Scoring(
        run=exported_run,
        exports=[model],
        runtime=Runtime.LITERT,
        records=records,
        is_test_side=True,
        reporter=SilentReporter(),
    )
    found = whole.score()
    assert list(found) == ["keras", "int8"]
    paths = [record.path for record in records]
    # The training scored the same pictures, each decoded by itself.
    stored = read_predictions(exported_run.folder / "predictions_test.csv")
    assert found["keras"].scores.tolist() == stored.scores.tolist()
    with TFLiteClassifier(model.data, name="int8", runtime=Runtime.LITERT) as classifier:
        assert found["int8"].scores.tolist() == list(classifier.stream_scores(paths))
    assert found["int8"].image_ids == tuple(record.image_id for record in records)


def scoring_of(run: TrainedModel, *, pictures: int) -> Scoring:
    return Scoring(
        run=run,
        exports=[],
        runtime=Runtime.LITERT,
        records=read_side(run, "test")[:pictures],
        is_test_side=True,
        reporter=SilentReporter(),
    )


def test_a_picture_without_a_probability_counts_as_scored_nothing(
    exported_run: TrainedModel,
) -> None:
    whole = scoring_of(exported_run, pictures=4)
    session: Any = None

    def refuse_odd_numbers(_session: object, number: int) -> Answer:
        if number % 2:
            raise NoProbabilityError("for a picture it gave nan, which is no probability")
        return Answer(score=0.5, integer=None)

    answers = [answer_or_nan(refuse_odd_numbers, session, number) for number in range(4)]
    found = whole._predictions("int8", iter(answers), "int8")
    assert found.scores.tolist() == [0.5, 0.0, 0.5, 0.0]
    assert whole.without_score == {"int8": 2}


def test_a_network_that_gives_no_number_is_refused(
    exported_run: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = scoring_of(exported_run, pictures=4)
    monkeypatch.setattr(
        KerasClassifier,
        "stream_decoded",
        lambda classifier, images: (
            Answer(score=score, integer=None) for score in (0.5, math.nan, 0.5, math.nan)
        ),
    )
    with pytest.raises(EdgeMelanomaError) as caught:
        whole.score()
    assert str(caught.value) == (
        f"The network of {exported_run.folder} gives NaN for 2 of 4 pictures; there is nothing to "
        "compare its files with: train it again."
    )


def test_an_interruption_keeps_the_predictions_of_finished_models(
    exported_run: TrainedModel,
    edge_melanoma: Callable[..., CommandResult],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = tmp_path / "run"
    shutil.copytree(exported_run.folder, run, ignore=shutil.ignore_patterns("bench"))
    score = SessionPool.map

    def stop_at_int8(pool: SessionPool, *args: Any, model: str) -> Iterator[Any]:
        if model == "int8":
            raise KeyboardInterrupt
        return score(pool, *args, model=model)

    monkeypatch.setattr(SessionPool, "map", stop_at_int8)
    # The stored scores of the reference do: TensorFlow has no part in this.
    monkeypatch.setattr(scoring, "package_version", lambda name: None)
    result = edge_melanoma("bench", run, "--runs", "2")
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == (
        f"edge-melanoma: interrupted; the predictions of keras, float32, float16 are kept in the "
        f"bench folder of {run}, in unfinished, and no report was made."
    )
    kept = sorted(path.name for path in (run / "bench" / "unfinished").iterdir())
    assert kept == [f"predictions_{mode}.csv" for mode in ("float16", "float32", "keras")]
    scores = [read_predictions(run / "bench" / "unfinished" / name).scores for name in kept]
    assert len(scores[0]) == len(read_side(exported_run, "test"))
    assert np.abs(scores[1] - scores[2]).max() < 1e-4
