"""An export's operating point is chosen on its own validation scores and kept with them."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from graded_run import QUARTERS, STEPS, make_graded_run
from tflite_files import without_metadata

from edge_melanoma.converters import operating_points
from edge_melanoma.converters.operating_points import (
    ValidationScores,
    complete_operating_point,
    derive_operating_point,
    forget_operating_point,
)
from edge_melanoma.data.sets import read_data_sets
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation import drift
from edge_melanoma.evaluation.metrics import wilson_interval
from edge_melanoma.machine.files import write_json
from edge_melanoma.machine.schemas import read_json
from edge_melanoma.machine.terminal import SilentReporter, TerminalReporter
from edge_melanoma.runs.bundled import FOLDER, bundled_model
from edge_melanoma.runs.converted import ConvertedModel, open_converted
from edge_melanoma.runs.models import TrainedModel, open_run
from edge_melanoma.tflite.quantization import sigmoid

SILENT = SilentReporter()


def model_of(run: TrainedModel) -> ConvertedModel:
    return open_converted(run.exports_folder / "model_int8.tflite")


def complete(run: TrainedModel) -> ConvertedModel:
    return complete_operating_point(run, model_of(run), ValidationScores(run, SILENT))


@pytest.fixture(scope="module")
def completed(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    run = make_graded_run(tmp_path_factory.mktemp("graded"))
    complete(run)
    return run


@pytest.fixture
def copied(completed: TrainedModel, tmp_path: Path) -> TrainedModel:
    """The completed run again, so that it may be changed."""
    folder = tmp_path / "run"
    shutil.copytree(completed.folder, folder)
    return TrainedModel(
        folder=folder,
        variant=completed.variant,
        manifest=completed.manifest,
        sha256=completed.sha256,
    )


def refuse_to_score(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("an interpreter was started")

    monkeypatch.setattr(operating_points, "TFLiteClassifier", refuse)


def test_the_manifest_holds_the_point_of_the_file_s_own_scores(completed: TrainedModel) -> None:
    manifest = model_of(completed).manifest
    # Four melanomas give 21, 23, 23 and 24, the benign 20, 20, 21 and 22.
    assert manifest["operating_point"] == {
        "threshold": 0.125,
        "integer": 21,
        "output": STEPS | {"name": "p_malignant"},
        "min_recall": 0.95,
        "recall": 1.0,
        "recall_interval": list(wilson_interval(4, 4)),
        "specificity": 0.5,
        "malignant": 4,
        "benign": 4,
        "source": "validation",
        "min_recall_bound": None,
        "deciding": None,
        "within": {},
    }
    assert manifest["threshold"] == 0.125


def test_scores_are_kept_beside_the_file_in_the_order_of_the_side(completed: TrainedModel) -> None:
    path = completed.exports_folder / "model_int8.validation.csv"
    header, *lines = path.read_text().splitlines()
    assert header == "image_id,is_malignant,score,source,lesion,diagnosis"
    assert [line.split(",")[0] for line in lines] == [
        f"{name}/{number}.png" for name in QUARTERS for number in range(4)
    ]
    assert [float(line.split(",")[2]) for line in lines] == [0, 0, 0.25, 0.5, 0.25, 0.75, 0.75, 1]


def test_kept_scores_need_neither_pictures_nor_an_interpreter(
    completed: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_score(monkeypatch)
    scores = ValidationScores(completed, SILENT).of(model_of(completed))
    assert scores is not None
    point = derive_operating_point(model_of(completed), scores, min_recall=0.7)
    assert (point.integer, point.point.threshold, point.point.recall) == (23, 0.625, 3 / 4)


def test_a_point_that_is_there_is_left_alone(
    completed: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_score(monkeypatch)
    assert complete(completed) == model_of(completed)


def test_scores_that_the_manifest_does_not_know_are_made_anew(copied: TrainedModel) -> None:
    path = copied.exports_folder / "model_int8.validation.csv"
    before = path.read_text()
    path.write_text(before.replace("0.75", "0.5"))
    scores = ValidationScores(copied, SILENT).of(model_of(copied))
    assert scores is not None
    assert path.read_text() == before


def test_a_replaced_file_s_scores_are_forgotten(copied: TrainedModel) -> None:
    forget_operating_point(copied.exports_folder / "model_int8.tflite")
    assert not (copied.exports_folder / "model_int8.validation.csv").exists()


def test_a_logit_s_threshold_is_a_probability_and_its_integer_a_step_of_the_logit(
    tmp_path: Path,
) -> None:
    point = complete(make_graded_run(tmp_path, output="logit")).manifest["operating_point"]
    below, reached = sigmoid((20 - 20) * 0.25), sigmoid((21 - 20) * 0.25)  # type: ignore[arg-type]  # a number
    assert point["integer"] == 21
    assert point["threshold"] == pytest.approx((below + reached) / 2, rel=1e-15)
    assert point["output"]["name"] == "logit"


def test_without_the_pictures_a_file_keeps_the_run_s_threshold_and_one_sentence_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_graded_run(tmp_path)
    (tmp_path / "data" / "malignant" / "3.png").unlink()
    scores = ValidationScores(run, TerminalReporter())
    for _ in range(2):
        model = complete_operating_point(run, model_of(run), scores)
    assert (model.manifest["threshold"], model.manifest["operating_point"]) == (0.2, None)
    assert capsys.readouterr().err == (
        "Exports keep the run's own threshold. The validation image malignant/3.png is missing "
        "from the run's data folder; restore it.\n"
    )


def test_a_file_that_nothing_describes_is_refused(copied: TrainedModel) -> None:
    path = copied.exports_folder / "model_int8.tflite"
    path.with_suffix(".json").unlink()
    path.write_bytes(without_metadata(path.read_bytes()))
    with pytest.raises(EdgeMelanomaError) as caught:
        complete(copied)
    assert str(caught.value) == (
        f"{path} has no manifest beside it, which says what its output means; export it again."
    )


def test_an_export_of_before_gets_counts_and_keeps_its_point(
    phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(FOLDER, folder)
    run, shipped = open_run(folder), open_converted(bundled_model())
    path = run.exports_folder / "model_int8.json"
    told = read_json(path)
    del told["counts"]
    write_json(path, told)
    records = tuple(read_data_sets({"phantoms": phantoms}))[:30]
    monkeypatch.setattr(operating_points, "read_side", lambda *_: records)
    monkeypatch.setattr(drift, "LEAST_COUNTED", 5)
    monkeypatch.setattr(drift, "DRAWS", 20)
    found = complete(run)
    counts = found.counts["groups"][drift.ALL]["counts"]
    assert sum(counts["gate"]) == len(records) > sum(counts["score"]) >= 5
    lone = tmp_path / "found.tflite"
    lone.write_bytes(found.data)
    assert open_converted(lone).counts == found.counts != shipped.counts
    assert found.manifest["operating_point"] == shipped.manifest["operating_point"]
    # With the counts there is nothing left to do.
    refuse_to_score(monkeypatch)
    assert complete(run).sha256 == found.sha256
