"""Exports of a run: kept while nothing changes, refused when it does, the same byte for byte."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_melanoma.artifacts import TrainedModel, open_run, read_json, sha256_of
from edge_melanoma.converters.modes import Correction, InputOutput, Mode
from edge_melanoma.converters.post_training import bias_correction_of, export_run, path_of
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.images import read_image
from edge_melanoma.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.predictions import read_predictions
from edge_melanoma.run_data import read_run_records
from edge_melanoma.runtimes import Runtime

MODES = (Mode.FLOAT32, Mode.FLOAT16, Mode.INT8)


def export(
    run: TrainedModel,
    modes: tuple[Mode, ...] = MODES,
    *,
    io: InputOutput = InputOutput.INT8,
    images: int = 20,
    seed: int = 0,
    force: bool = False,
) -> list[Path]:
    """With the settings of the fixture `exported_run` but for those that are given."""
    models = export_run(
        run,
        modes,
        records=read_run_records(run),
        io=io,
        calibration_images=images,
        seed=seed,
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
    assert len(before) == 2 * len(MODES)
    assert export(exported_run) == [path_of(exported_run, mode) for mode in MODES]
    assert state_of(exported_run.exports_folder) == before


@pytest.mark.parametrize("other", [{"seed": 1}, {"images": 22}, {"io": InputOutput.UINT8}], ids=str)
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
    (path,) = export(exported_run, (Mode.FLOAT32,), io=InputOutput.UINT8, images=22, seed=1)
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
    assert manifest["threshold"] == exported_run.threshold
    assert manifest["input"]["shape"] == [1, 224, 224, 3]
    assert manifest["bias_correction"] == bias_correction_of(mode)


def test_the_manifest_says_whose_rounding_was_corrected() -> None:
    assert {mode.value: bias_correction_of(mode) for mode in Mode} == {
        "float32": "none",
        "float16": "weights",
        "dynamic": "weights",
        "int8": "weights and activations",
        "int16x8": "weights",
    }
    assert {bias_correction_of(mode, Correction.NONE) for mode in Mode} == {"none"}


def test_the_float32_file_gives_the_scores_that_the_training_stored(
    exported_run: TrainedModel,
) -> None:
    stored = read_predictions(exported_run.folder / "predictions_test.csv")
    paths = {record.image_id: record.path for record in read_run_records(exported_run)}
    session = session_of(path_of(exported_run, Mode.FLOAT32))
    scores = [session.score(read_image(paths[image_id])) for image_id in stored.image_ids]
    # float32 sums in another order: 2e-4 of a logit below 4, of which a sigmoid passes a quarter.
    np.testing.assert_allclose(scores, stored.scores, rtol=0, atol=2e-4)


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


def test_the_uint8_file_decides_as_its_int8_twin(
    exported_run: TrainedModel, uint8_model: Path
) -> None:
    twin, session = session_of(path_of(exported_run, Mode.INT8)), session_of(uint8_model)
    pictures = [read_image(record.path) for record in read_run_records(exported_run)[::4]]
    scores = [session.score(picture) for picture in pictures]
    assert scores == [twin.score(picture) for picture in pictures]
    assert len(set(scores)) > 1


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
