"""A whole bench's scoring: the same scores as apart, and what an interruption keeps."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CommandResult

from edge_melanoma.benchmarks.parity import scoring
from edge_melanoma.benchmarks.parity.scoring import Scoring
from edge_melanoma.evaluation.predictions import read_predictions
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.runs.models import TrainedModel, open_converted
from edge_melanoma.runs.pictures import read_side
from edge_melanoma.runtime.classifiers import SessionPool, TFLiteClassifier
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
    told = (
        f"Interrupted: the predictions of keras, float32, float16 are kept in the bench folder of "
        f"{run}, in unfinished; no report was made"
    )
    assert told in result.stderr.splitlines()
    kept = sorted(path.name for path in (run / "bench" / "unfinished").iterdir())
    assert kept == [f"predictions_{mode}.csv" for mode in ("float16", "float32", "keras")]
    scores = [read_predictions(run / "bench" / "unfinished" / name).scores for name in kept]
    assert len(scores[0]) == len(read_side(exported_run, "test"))
    assert np.abs(scores[1] - scores[2]).max() < 1e-4
