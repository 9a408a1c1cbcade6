"""Exports of a run: kept while nothing changes, refused when it does, the same byte for byte."""

import errno
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_melanoma.converters.audit import audit_model
from edge_melanoma.converters.export import UNFINISHED, export_run, path_of
from edge_melanoma.converters.settings import ExportSettings, TuningSettings
from edge_melanoma.data.images import read_image
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import read_predictions
from edge_melanoma.machine.files import sha256_of
from edge_melanoma.machine.schemas import read_json
from edge_melanoma.runs.models import TrainedModel, open_run
from edge_melanoma.runs.pictures import read_run_records
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.tflite.inspection import inspect_model
from edge_melanoma.tflite.modes import Backend, InputOutput, Mode, Output

MODES = (Mode.FLOAT32, Mode.FLOAT16, Mode.INT8)


def export(
    run: TrainedModel,
    modes: tuple[Mode, ...] = MODES,
    *,
    force: bool = False,
    **choices: Any,
) -> list[Path]:
    """With the settings of the fixture `exported_run` but for those that are given."""
    models = export_run(
        run,
        modes,
        settings=ExportSettings(**{"calibration_images": 20, **choices}),
        cache_folder=run.folder / "cache",
        force=force,
    )
    return [model.path for model in models]


def state_of(folder: Path) -> dict[str, tuple[int, str]]:
    """When each file was written, and its bytes."""
    return {
        path.name: (path.stat().st_mtime_ns, sha256_of(path.read_bytes()))
        for path in folder.iterdir()
    }


def session_of(path: Path) -> TFLiteSession:
    settings = SessionSettings(data=path.read_bytes(), name=path.name, runtime=Runtime.LITERT)
    return TFLiteSession(settings)


def copy_of(run: TrainedModel, folder: Path) -> TrainedModel:
    shutil.copytree(run.folder, folder)
    return open_run(folder)


@pytest.fixture(scope="module")
def uint8_model(exported_run: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The int8 export with ends of raw bytes, in a copy of the run."""
    run = copy_of(exported_run, tmp_path_factory.mktemp("uint8") / "run")
    (path,) = export(run, (Mode.INT8,), io=InputOutput.UINT8, force=True)
    return path


def test_the_same_settings_leave_every_file_as_it_is(exported_run: TrainedModel) -> None:
    before = state_of(exported_run.exports_folder)
    companions = {"model_int8.layers.csv", "model_int8.layers.png"}
    assert set(before) == companions | {
        f"model_{mode}.{suffix}"
        for mode in MODES
        for suffix in ("tflite", "json", "validation.csv")
    }
    assert export(exported_run) == [path_of(exported_run, mode) for mode in MODES]
    assert state_of(exported_run.exports_folder) == before


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"calibration_images": 22},
        {"io": InputOutput.UINT8},
        {"output": Output.LOGIT},
        {"backend": Backend.LITERT},
        {"max_recall_drop": 0.5},
    ],
    ids=str,
)
def test_other_settings_are_refused_before_anything_is_written(
    exported_run: TrainedModel, other: dict[str, Any]
) -> None:
    before = state_of(exported_run.exports_folder)
    with pytest.raises(EdgeMelanomaError) as caught:
        export(exported_run, (Mode.INT8,), **other)
    assert str(caught.value) == (
        f"{path_of(exported_run, Mode.INT8)} was made with other settings; replace it with "
        "--force, or move it away."
    )
    assert state_of(exported_run.exports_folder) == before


def test_a_float_file_has_nothing_to_do_with_the_calibration(exported_run: TrainedModel) -> None:
    (path,) = export(exported_run, (Mode.FLOAT32,), calibration_images=22, seed=1)
    assert read_json(path.with_suffix(".json"))["calibration"] is None


def test_a_file_that_is_not_its_manifest_s_is_refused(
    exported_run: TrainedModel, tmp_path: Path
) -> None:
    run = copy_of(exported_run, tmp_path / "run")
    path = path_of(run, Mode.INT8)
    path.write_bytes(path.read_bytes() + b"\x00")
    with pytest.raises(EdgeMelanomaError) as caught:
        export(run, (Mode.INT8,))
    assert str(caught.value) == (
        f"{path} is not the file that model_int8.json describes (its sha256 differs); "
        "export it again."
    )


@pytest.mark.parametrize("mode", [Mode.FLOAT16, Mode.INT8])
def test_a_manifest_lists_calibration_images_of_the_training_side_half_of_each_class(
    exported_run: TrainedModel, mode: Mode
) -> None:
    calibration = read_json(path_of(exported_run, mode).with_suffix(".json"))["calibration"]
    split = read_json(exported_run.folder / "split.json")
    ids = calibration["ids"]
    assert len(set(ids)) == calibration["images"] == 20
    assert set(ids) <= set(split["train"])
    assert Counter(Path(image_id).parent.name for image_id in ids) == {
        "benign": 10,
        "malignant": 10,
    }
    assert calibration["sha256"] == [split["sha256"][image_id] for image_id in ids]


@pytest.mark.parametrize("mode", MODES)
def test_a_manifest_describes_its_file_and_where_it_came_from(
    exported_run: TrainedModel, mode: Mode
) -> None:
    path = path_of(exported_run, mode)
    manifest = read_json(path.with_suffix(".json"))
    data = path.read_bytes()
    assert (manifest["file"], manifest["mode"]) == (path.name, mode.value)
    assert (manifest["sha256"], manifest["size_bytes"]) == (sha256_of(data), len(data))
    assert manifest["source_sha256"] == exported_run.sha256
    point = manifest["operating_point"]
    assert manifest["threshold"] == point["threshold"]
    assert point["min_recall"] == exported_run.manifest["operating_point"]["min_recall"]
    assert (point["integer"] is None) == (mode is not Mode.INT8)
    assert manifest["input"]["shape"] == [1, 224, 224, 3]
    assert manifest["bias_correction"] == ExportSettings().correction_of(mode)
    assert manifest["output"]["name"] == "p_malignant"


def test_the_float32_file_gives_the_scores_that_the_training_stored(
    exported_run: TrainedModel,
) -> None:
    stored = read_predictions(exported_run.folder / "predictions_test.csv")
    paths = {record.image_id: record.path for record in read_run_records(exported_run)}
    session = session_of(path_of(exported_run, Mode.FLOAT32))
    scores = [session.score(read_image(paths[image_id])) for image_id in stored.image_ids]
    # float32 sums in another order: 2e-4 of a logit below 4, of which a sigmoid passes a quarter.
    np.testing.assert_allclose(scores, stored.scores, rtol=0, atol=2e-4)


@pytest.mark.thorough
def test_bytes_in_place_of_int8_are_the_picture_itself(uint8_model: Path) -> None:
    session = session_of(uint8_model)
    assert session.input_quantization.pixel_table().tolist() == list(range(256))
    assert session.input_quantization.as_dict() == {
        "dtype": "uint8",
        "scale": float(np.float32(1 / 255)),
        "zero_point": 0,
    }
    assert session.output_quantization.as_dict() == {
        "dtype": "uint8",
        "scale": 1 / 256,
        "zero_point": 0,
    }
    assert read_json(uint8_model.with_suffix(".json"))["io"] == "uint8"


@pytest.mark.thorough
def test_the_uint8_file_decides_as_its_int8_twin(
    exported_run: TrainedModel, uint8_model: Path
) -> None:
    twin, session = session_of(path_of(exported_run, Mode.INT8)), session_of(uint8_model)
    pictures = [read_image(record.path) for record in read_run_records(exported_run)[::4]]
    scores = [session.score(picture) for picture in pictures]
    assert scores == [twin.score(picture) for picture in pictures]
    assert len(set(scores)) > 1


@pytest.fixture(scope="module")
def tuned_run(exported_run: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """A copy with an int8 file that was trained for one epoch."""
    run = copy_of(exported_run, tmp_path_factory.mktemp("tuned") / "run")
    export(run, (Mode.INT8_QAT,), tuning=TuningSettings(epochs=1))
    return run


@pytest.mark.thorough
def test_trained_int8_is_wholly_int8_and_near_the_scores_it_learned_from(
    tuned_run: TrainedModel,
) -> None:
    path = path_of(tuned_run, Mode.INT8_QAT)
    facts = inspect_model(path.read_bytes())
    audit_model(facts, mode=Mode.INT8_QAT, io=InputOutput.INT8)
    stored = read_predictions(tuned_run.folder / "predictions_test.csv")
    paths = {record.image_id: record.path for record in read_run_records(tuned_run)}
    session = session_of(path)
    scores = [session.score(read_image(paths[image_id])) for image_id in stored.image_ids]
    assert np.abs(np.array(scores) - stored.scores).mean() < 0.05


@pytest.mark.thorough
def test_trained_int8_tells_its_epochs_and_where_its_cache_ends(tuned_run: TrainedModel) -> None:
    path = path_of(tuned_run, Mode.INT8_QAT)
    manifest = read_json(path.with_suffix(".json"))
    assert manifest["tuning"]["epochs"] == 1
    assert manifest["best_epoch"] in (0, 1)
    assert manifest["cached_up_to"] == "block_13_project_BN"
    lines = path.with_suffix(".history.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("stage,epoch,loss,accuracy,recall,auc,val_loss")
    assert not (tuned_run.exports_folder / UNFINISHED).exists()


@pytest.mark.thorough
def test_trained_int8_can_give_its_logit(exported_run: TrainedModel, tmp_path: Path) -> None:
    run = copy_of(exported_run, tmp_path / "run")
    (path,) = export(run, (Mode.INT8_QAT,), output=Output.LOGIT, tuning=TuningSettings(epochs=1))
    assert read_json(path.with_suffix(".json"))["output"]["name"] == "logit"
    assert path.with_suffix(".layers.csv").is_file()


def test_a_disk_that_fills_up_is_one_sentence_and_harms_no_file(
    exported_run: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copy_of(exported_run, tmp_path / "run")
    before = state_of(run.exports_folder)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EdgeMelanomaError, match="cannot be written: No space left on device"):
        export(run, (Mode.FLOAT32,), force=True)
    after = state_of(run.exports_folder)
    assert {name: state[1] for name, state in after.items()} == {
        name: state[1] for name, state in before.items()
    }


@pytest.mark.slow
def test_a_conversion_gives_the_same_bytes_again_whatever_is_converted_with_it(
    exported_run: TrainedModel, tmp_path: Path
) -> None:
    run = copy_of(exported_run, tmp_path / "run")
    before = state_of(run.exports_folder)
    (path,) = export(run, (Mode.INT8,), force=True)
    after = state_of(run.exports_folder)
    assert after[path.name][0] > before[path.name][0]
    assert after[path.name][1] == before[path.name][1]
