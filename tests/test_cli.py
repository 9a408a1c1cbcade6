"""Every mistake that a person can make is one sentence on stderr and exit code 2."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from edge_melanoma.runs.models import TrainedModel

Cli = Callable[..., Any]
LAYOUT = (
    "expected the folders benign and malignant, the same inside train and test, "
    "a labels.csv with the columns file,label[,lesion_id], or a table with --labels FILE"
)


def refuse(result: Any, sentence: str) -> None:
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.strip().splitlines()[-1] == f"edge-melanoma: {sentence}"
    assert "Traceback" not in result.stderr


def test_help_starts_without_tensorflow_scikit_learn_and_numpy() -> None:
    code = (
        "import sys; sys.argv = ['edge-melanoma', '--help']\n"
        "from edge_melanoma.cli import app\n"
        "try:\n    app()\nexcept SystemExit:\n    pass\n"
        "heavy = {'tensorflow', 'tf_keras', 'sklearn', 'scipy', 'matplotlib', 'numpy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_version_is_that_of_the_package(edge_melanoma: Cli) -> None:
    assert edge_melanoma("--version").stdout == "edge-melanoma 0.1.0\n"


def test_every_package_folder_is_listed_for_the_wheel() -> None:
    root = Path(__file__).parent.parent
    listed = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    packages = {
        Path(folder).relative_to(root).as_posix().replace("/", ".")
        for folder, _, files in os.walk(root / "edge_melanoma", followlinks=True)
        if "__init__.py" in files
    }
    assert set(listed) == packages


def test_the_android_sources_are_in_the_package_and_under_its_licence() -> None:
    root = Path(__file__).parent.parent
    sources = root / "edge_melanoma" / "android_assets"
    assert sources.resolve() == root / "android_assets"
    assert (sources / "LICENSE").read_bytes() == (root / "LICENSE").read_bytes()


def test_train_names_a_folder_that_is_not_there(edge_melanoma: Cli, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    result = edge_melanoma("train", "--data", missing, "--out", tmp_path / "run")
    refuse(result, f"There is no folder {missing}; {LAYOUT}.")


def test_train_names_an_empty_folder(edge_melanoma: Cli, tmp_path: Path) -> None:
    refuse(
        edge_melanoma("train", "--data", tmp_path, "--out", tmp_path / "run"),
        f"There are no images in {tmp_path}; {LAYOUT}.",
    )


def test_train_names_the_missing_class(edge_melanoma: Cli, tmp_path: Path) -> None:
    (tmp_path / "benign").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "benign" / "a.png")
    refuse(
        edge_melanoma("train", "--data", tmp_path, "--out", tmp_path / "run"),
        f"There are no malignant images in {tmp_path}; both classes are needed: {LAYOUT}.",
    )


def test_train_names_a_folder_that_is_no_class(edge_melanoma: Cli, tmp_path: Path) -> None:
    (tmp_path / "nevus").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "nevus" / "a.png")
    refuse(
        edge_melanoma("train", "--data", tmp_path, "--out", tmp_path / "run"),
        f"The folder {tmp_path / 'nevus'} is neither benign nor malignant; {LAYOUT}; or say which "
        "of nevus are malignant, such as --malignant NAME.",
    )


def test_train_stops_when_more_than_a_twentieth_is_unreadable(
    edge_melanoma: Cli, tmp_path: Path
) -> None:
    for name in ("benign", "malignant"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name / "a.png")
    empty = tmp_path / "benign" / "b.jpg"
    empty.touch()
    refuse(
        edge_melanoma("train", "--weights", "none", "--data", tmp_path, "--out", tmp_path / "run"),
        "1 of 3 images cannot be used, more than 5%; mend or remove them first: "
        f"1 unreadable image: The image {empty} is empty.",
    )


def test_train_refuses_weights_that_do_not_fit(
    edge_melanoma: Cli, phantoms: Path, tmp_path: Path
) -> None:
    import h5py
    import numpy as np

    weights = tmp_path / "other.h5"
    with h5py.File(weights, "w") as file:
        file["Conv1/Conv1/kernel:0"] = np.zeros((3, 3, 3, 16), np.float32)
    result = edge_melanoma(
        "train", "--data", phantoms, "--weights", weights, "--out", tmp_path / "run"
    )
    assert result.exit_code == 2
    assert f"The weights file {weights} does not fit MobileNetV2 alpha 1.0: " in result.stderr


def test_train_says_how_to_pass_weights_that_are_not_there(
    edge_melanoma: Cli, phantoms: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "missing.h5"
    result = edge_melanoma(
        "train", "--data", phantoms, "--weights", weights, "--out", tmp_path / "run"
    )
    refuse(
        result,
        f"There is no weights file {weights}; download "
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5 on another machine "
        "and pass it with --weights PATH, or train from random weights with --weights none.",
    )


def test_train_says_so_when_imagenet_weights_cannot_be_downloaded(
    edge_melanoma: Cli, phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_melanoma.machine.tensorflow import tf_keras

    def fail(*_: object, **__: object) -> str:
        raise Exception("URL fetch failure: no network")

    monkeypatch.setattr(tf_keras.utils, "get_file", fail)
    refuse(
        edge_melanoma("train", "--data", phantoms, "--out", tmp_path / "run"),
        "The ImageNet weights cannot be downloaded; download "
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5 on another machine "
        "and pass it with --weights PATH, or train from random weights with --weights none.",
    )


def test_train_does_not_overwrite_a_run(
    edge_melanoma: Cli, trained_run: TrainedModel, phantoms: Path
) -> None:
    refuse(
        edge_melanoma("train", "--data", phantoms, "--out", trained_run.folder),
        f"{trained_run.folder} exists and is not empty; choose another --out, go on with "
        "--resume, or replace it with --force.",
    )


def test_a_run_folder_without_a_model_is_no_run(edge_melanoma: Cli, tmp_path: Path) -> None:
    refuse(
        edge_melanoma("bench", tmp_path),
        f"The run folder {tmp_path} holds no trained model; "
        "finish it with --resume or train again.",
    )


def test_export_names_a_run_that_is_not_there(edge_melanoma: Cli, tmp_path: Path) -> None:
    missing = tmp_path / "run"
    refuse(
        edge_melanoma("export", missing),
        f"There is no run folder {missing}; train one with: edge-melanoma train --data DIR.",
    )


def test_export_names_a_mode_that_is_not_there(
    edge_melanoma: Cli, trained_run: TrainedModel
) -> None:
    refuse(
        edge_melanoma("export", trained_run.folder, "--quantize", "int4"),
        "--quantize int4 is no mode; expected one of none, float32, float16, dynamic, int8, "
        "int8-qat, int16x8, all.",
    )


def test_a_run_whose_weights_were_changed_is_refused(
    edge_melanoma: Cli, trained_run: TrainedModel, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained_run.folder, folder)
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    refuse(
        edge_melanoma("threshold", folder),
        f"{weights} is not the file that its manifest describes (its sha256 differs); "
        "restore it or train again.",
    )


@pytest.mark.parametrize("content", [b"", b"not a model at all"])
def test_a_file_that_is_no_tflite_is_refused(
    edge_melanoma: Cli, tmp_path: Path, content: bytes
) -> None:
    model, image = tmp_path / "model.tflite", tmp_path / "a.png"
    model.write_bytes(content)
    Image.new("RGB", (8, 8)).save(image)
    refuse(
        edge_melanoma("predict", model, image),
        f"{model} is not a .tflite file; expected one written by edge-melanoma export.",
    )


def test_predict_names_a_picture_that_is_truncated(
    edge_melanoma: Cli, exported_run: TrainedModel, tmp_path: Path
) -> None:
    image = tmp_path / "cut.jpg"
    Image.effect_noise((64, 64), 40).save(image)
    image.write_bytes(image.read_bytes()[:-200])
    model = exported_run.exports_folder / "model_int8.tflite"
    result = edge_melanoma("predict", model, image)
    assert result.exit_code == 2
    assert f"The image {image} is truncated or broken: " in result.stderr


def test_predict_gives_probability_decision_and_integer(
    edge_melanoma: Cli, exported_run: TrainedModel, phantoms: Path
) -> None:
    image = next((phantoms / "malignant").iterdir())
    model = exported_run.exports_folder / "model_int8.tflite"
    result = edge_melanoma("predict", model, image, "--json")
    (row,) = json.loads(result.stdout)
    assert row["file"] == str(image)
    assert row["model"] == "model_int8.tflite"
    assert row["p_malignant"] == (row["output_integer"] + 128) / 256
    own = json.loads(model.with_suffix(".json").read_text())["operating_point"]
    assert (row["threshold"], row["threshold_integer"]) == (own["threshold"], own["integer"])
    assert (row["output_integer"] >= own["integer"]) == (row["decision"] == "malignant")
    expected = "malignant" if row["p_malignant"] >= row["threshold"] else "benign"
    assert row["decision"] == expected


def test_threshold_reaches_its_target_on_validation(
    edge_melanoma: Cli, trained_run: TrainedModel, tmp_path: Path
) -> None:
    out = tmp_path / "point.json"
    result = edge_melanoma("threshold", trained_run.folder, "--min-recall", "1.0", "--json", out)
    point = json.loads(out.read_text())["operating_point"]
    assert point["recall"] == 1.0
    (keras,) = (line for line in result.stdout.splitlines() if "keras" in line)
    assert keras.split("│")[2].strip() == "1.0000"
    assert f"{point['threshold']:.6f}" in keras


def test_doctor_names_the_interpreters(edge_melanoma: Cli) -> None:
    found = json.loads(edge_melanoma("doctor", "--json").stdout)
    assert found["interpreters"]["ai_edge_litert"]["runs"] is True
    assert found["packages"]["tensorflow"]["extra"] == "train"
    assert found["packages"]["numpy"]["extra"] is None
    assert "pytest" not in found["packages"]
    assert {"version", "python"} <= set(found)
    assert set(found["interpreters"]) == {"ai_edge_litert", "tflite_runtime", "tf.lite"}
