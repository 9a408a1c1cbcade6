"""A study of calibration: disjoint subsets, scored on validation, kept, and told in numbers."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CommandResult
from PIL import Image

from edge_melanoma.converters import calibration_study
from edge_melanoma.converters.calibration_study import (
    CalibrationStudy,
    study_calibration,
    study_path,
)
from edge_melanoma.converters.calibration_trials import Trial, TrialOrder, run_trials
from edge_melanoma.converters.settings import ExportSettings
from edge_melanoma.data.images import read_image_bytes
from edge_melanoma.data.lesions import read_lesions
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import make_prediction_set, predictions_to_csv
from edge_melanoma.machine.files import read_json, sha256_of, write_json
from edge_melanoma.runs.models import TrainedModel, open_run
from edge_melanoma.runs.pictures import read_run_records
from edge_melanoma.tflite.modes import Correction, InputOutput

TRIAL = Trial(
    images=10,
    fingerprint="f",
    file_sha256="s",
    recall=0.75,
    specificity=1.0,
    auc=0.9,
    mean_score_difference=0.01,
    agreement=0.99,
)
# Ten are the fewest images; five disjoint subsets of them take all 25 of each class.
SETTINGS = ExportSettings(calibration_images=10)
TRAINING, ALL = 25, 30


@pytest.fixture
def run(tmp_path: Path) -> TrainedModel:
    """30 pictures of each class, of which 25 train, 3 validate and 2 test; the weights are none."""
    data = tmp_path / "data"
    for name, first in (("benign", 0), ("malignant", 100)):
        (data / name).mkdir(parents=True)
        for number in range(ALL):
            grey = (first + number,) * 3
            Image.new("RGB", (8, 8), grey).save(data / name / f"{number:02}.png")
    records = read_lesions(data)
    numbers = {record: int(Path(record.image_id).stem) for record in records}
    validation = [r for r in records if TRAINING <= numbers[r] < TRAINING + 3]
    split = {
        "train": [r.image_id for r in records if numbers[r] < TRAINING],
        "validation": [r.image_id for r in validation],
        "test": [r.image_id for r in records if numbers[r] >= TRAINING + 3],
        "sha256": {r.image_id: sha256_of(read_image_bytes(r.path)) for r in records},
    }
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "weights.safetensors").write_bytes(b"weights")
    write_json(folder / "split.json", split)
    scores = make_prediction_set(validation, np.array([0.1, 0.2, 0.3, 0.4, 0.8, 0.9]))
    (folder / "predictions_validation.csv").write_text(predictions_to_csv(scores))
    manifest = {
        "variant": "frozen",
        "dataset": {"name": "greys", "folders": {"greys": str(data)}},
        "operating_point": {"threshold": 0.5},
        "files": {"weights.safetensors": {"sha256": sha256_of(b"weights")}},
    }
    write_json(folder / "manifest.json", manifest)
    return open_run(folder)


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> list[TrialOrder]:
    """What was asked of the child process, in whose place trials with growing AUC are made."""
    asked: list[TrialOrder] = []

    def answer(function: Callable[..., Any], order: TrialOrder) -> tuple[Trial, ...]:
        assert function is run_trials
        asked.append(order)
        return tuple(
            replace(
                TRIAL,
                images=len(subset.records),
                fingerprint=subset.fingerprint,
                auc=(90 + number) / 100,
            )
            for number, subset in enumerate(order.subsets)
        )

    monkeypatch.setattr(calibration_study, "run_in_child", answer)
    return asked


def study(
    run: TrainedModel, settings: ExportSettings = SETTINGS, *, force: bool = False
) -> CalibrationStudy:
    return study_calibration(run, records=read_run_records(run), settings=settings, force=force)


def test_five_disjoint_subsets_of_the_training_side_are_scored_on_the_validation_side(
    run: TrainedModel, orders: list[TrialOrder]
) -> None:
    study(run)
    (order,) = orders
    split = read_json(run.folder / "split.json")
    drawn = [record.image_id for subset in order.subsets for record in subset.records]
    assert len(order.subsets) == 5
    assert sorted(drawn) == sorted(split["train"])
    assert [record.image_id for record in order.validation] == split["validation"]
    # An export's own images are the first subset of their number.
    assert order.subsets[0] == order.own


def test_the_file_says_what_decided_the_study_and_what_every_subset_gave(
    run: TrainedModel, orders: list[TrialOrder]
) -> None:
    made = study(run, replace(SETTINGS, seed=3, correction=Correction.NONE))
    content = read_json(study_path(run))
    assert (content["schema"], content["seed"], content["threshold"]) == (1, 3, 0.5)
    assert content["settings"]["bias_correction"] == "none"
    assert content["source_sha256"] == run.sha256
    assert content["left_out"] == [50, 100, 200, 500, 1000]
    # Of the stored scores 0.8 and 0.9 are melanomas called, 0.4 is one that is not.
    assert content["reference"]["recall"] == 2 / 3
    assert content["reference"]["auc"] == 1.0
    told = content["validation"]
    assert (told["name"], told["images"], told["malignant"]) == ("greys, validation side", 6, 3)
    fingerprints = [subset.fingerprint for subset in orders[0].subsets]
    assert [trial["fingerprint"] for trial in content["subsets"]] == fingerprints
    assert [trial["auc"] for trial in content["subsets"]] == [0.9, 0.91, 0.92, 0.93, 0.94]
    assert content["conclusion"] == made.conclude()
    with Image.open(study_path(run).with_suffix(".png")) as picture:
        assert picture.format == "PNG"


def test_a_study_of_the_same_settings_is_shown_again(
    run: TrainedModel, orders: list[TrialOrder]
) -> None:
    first = study(run)
    before = study_path(run).stat().st_mtime_ns
    assert study(run) == first
    assert len(orders) == 1
    assert study_path(run).stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "other",
    [{"seed": 1}, {"correction": Correction.NONE}, {"io": InputOutput.UINT8}],
    ids=str,
)
def test_another_study_is_replaced_by_force_alone(
    run: TrainedModel, orders: list[TrialOrder], other: dict[str, Any]
) -> None:
    study(run)
    with pytest.raises(EdgeMelanomaError) as caught:
        study(run, replace(SETTINGS, **other))
    assert str(caught.value) == (
        f"{study_path(run)} was made with other settings; replace it with --force, or move it away."
    )
    assert len(orders) == 1
    study(run, replace(SETTINGS, **other), force=True)
    assert len(orders) == 2
    assert read_json(study_path(run))["seed"] == other.get("seed", 0)


def test_a_study_of_other_images_is_not_shown_again(
    run: TrainedModel, orders: list[TrialOrder]
) -> None:
    study(run)
    content = read_json(study_path(run))
    content["subsets"][2]["fingerprint"] = "that of other images"
    study_path(run).write_text(json.dumps(content))
    with pytest.raises(EdgeMelanomaError, match="was made with other settings"):
        study(run)


def test_a_training_side_for_no_five_subsets_is_refused(
    run: TrainedModel, orders: list[TrialOrder]
) -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        study(run, replace(SETTINGS, calibration_images=11))
    assert str(caught.value) == (
        "The training side has too few images of a class for 5 disjoint subsets of 11, half of "
        "each class; try fewer with --calibration-images."
    )
    assert orders == []


def test_the_command_prints_a_row_a_size_and_what_was_left_out(
    run: TrainedModel,
    orders: list[TrialOrder],
    edge_melanoma: Callable[..., CommandResult],
) -> None:
    result = edge_melanoma(
        "export", run.folder, "--calibration-study", "--calibration-images", "10"
    )
    assert result.exit_code == 0
    rows = [line.split("│") for line in result.stdout.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row[1:-1]] for row in rows] == [
        ["float, stored scores", "", "0.6667", "", "1.0000", "", "", ""],
        ["10", "5", "0.7500", "0.7500 .. 0.7500", "0.9200", "0.9000 .. 0.9400", "0.0100", "0.9900"],
    ]
    after = result.stdout.splitlines()[-4:]
    assert after[0] == (
        "Left out: 50, 100, 200, 500, 1000 images, of which the training side has no 5 disjoint "
        "subsets with half of each class."
    )
    assert after[1].startswith("With 10 images, the choice of images moves recall by 0.0000")
    assert after[2:] == [str(study_path(run)), str(study_path(run).with_suffix(".png"))]
    assert list(run.exports_folder.glob("*.tflite")) == []


def test_the_command_refuses_a_recall_limit_beside_a_study(
    run: TrainedModel, edge_melanoma: Callable[..., CommandResult]
) -> None:
    result = edge_melanoma(
        "export", run.folder, "--calibration-study", "--max-recall-drop", "0.005"
    )
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--max-recall-drop has no part in --calibration-study" in result.stderr
