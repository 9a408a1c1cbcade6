"""The notebook route: a model that Keras has fitted and saved becomes a run that apps can use."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edge_melanoma.runs.models import open_run
from edge_melanoma.training.imported import TOLERANCE, read_checks

pytest.importorskip("h5py", reason="the extra train is not installed")
Run = Callable[..., Any]

NOTEBOOK = """
import csv, sys
from pathlib import Path
import numpy as np
from PIL import Image
keras = __import__(sys.argv[1])
layers, data, folder = keras.layers, Path(sys.argv[2]), Path(sys.argv[3])
names = ["benign", "malignant"]
files = sorted(path for name in names for path in data.glob(f"train/{name}/*.png"))
images = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in files])
labels = np.array([names.index(path.parent.name) for path in files])
keras.utils.set_random_seed(1)
base = keras.applications.MobileNetV2((96, 96, 3), include_top=False, weights=None, alpha=0.35)
image = keras.Input((96, 96, 3))
features = base(layers.Rescaling(1 / 127.5, offset=-1)(image), training=False)
features = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(features))
model = keras.Model(image, layers.Dense(1, activation="sigmoid")(features))
for layer in base.layers:
    if layer.name.endswith("_BN") or layer.name.startswith("bn"):
        gamma, beta, mean, variance = layer.get_weights()
        layer.set_weights([gamma * 2, beta, mean, variance])
model.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy")
model.fit(images, labels, batch_size=16, epochs=2, verbose=0)
model.save(folder / "model.keras")
scores = model.predict(images.astype("float32"), verbose=0)[:, 0]
with open(folder / "scores.csv", "w", newline="") as stream:
    rows = csv.writer(stream)
    rows.writerow(["file", "score"])
    rows.writerows(zip(files, scores.tolist()))
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 96 x 96 pixels with a train and a test folder: dark is malignant."""
    rng, folder = np.random.default_rng(3), tmp_path_factory.mktemp("lesions") / "lesions"
    for side, count in (("train", 24), ("test", 10)):
        for number in range(2 * count):
            name, level = ("malignant", 90) if number % 2 else ("benign", 150)
            path = folder / side / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            patches = rng.integers(level - 60, level + 60, (6, 6, 3), dtype=np.uint8)
            Image.fromarray(patches).resize((96, 96), Image.Resampling.BICUBIC).save(path)
    return folder


@pytest.fixture(
    scope="module", params=[pytest.param("keras", marks=pytest.mark.thorough), "tf_keras"]
)
def fitted(
    request: pytest.FixtureRequest, pictures: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a notebook that one Keras has run in a process of its own."""
    pytest.importorskip(request.param, reason="the extra train is not installed")
    folder = tmp_path_factory.mktemp(request.param)
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    environment.pop("TF_USE_LEGACY_KERAS", None)
    command = [sys.executable, "-c", NOTEBOOK, request.param, str(pictures), str(folder)]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return folder


@pytest.mark.slow
def test_a_notebooks_model_is_imported_exported_and_benched(
    fitted: Path, pictures: Path, tmp_path: Path, edge_melanoma: Run
) -> None:
    run, check = tmp_path / "run", fitted / "scores.csv"
    told = edge_melanoma(
        "import", fitted / "model.keras", "--out", run, "--data", pictures, "--check", check
    )
    assert told.exit_code == 0, told.stderr
    manifest = open_run(run).manifest
    checked = manifest["imported"]["checked"]
    assert checked["images"] == 48
    assert checked["largest_difference"] < TOLERANCE / 10
    assert manifest["split"]["kind"] == "folders"
    assert manifest["recipe"]["shape"]["border"] == pytest.approx(0.5)
    exported = edge_melanoma("export", run, "--calibration-images", 20)
    assert exported.exit_code == 0, exported.stderr
    kept = tomllib.loads((run / "exports" / "config.toml").read_text())["export"]
    assert kept.items() >= {"calibration-images": 20, "backend": "converter"}.items()
    assert "config.toml" not in edge_melanoma("verify", run, "--json").stdout
    timing = ("--runs", "4", "--warmup", "1", "--min-seconds", "0")
    assert edge_melanoma("bench", run, *timing).exit_code in {0, 1}
    parity = json.loads((run / "bench" / "parity.json").read_text())
    (as_float, int8) = parity["candidates"]
    assert as_float["max_score_difference"] < 1e-4
    assert int8["max_score_difference"] < 0.3
    alone = tmp_path / "app.tflite"
    alone.write_bytes((run / "exports" / "model_int8.tflite").read_bytes())
    picture = next(pictures.rglob("*.png"))
    (row,) = json.loads(edge_melanoma("predict", alone, picture, "--json").stdout)
    assert row["threshold_source"] == "embedded"
    bundle = tmp_path / "bundle"
    assert edge_melanoma("android", run, "--out", bundle).exit_code == 0
    assert edge_melanoma("android", "--verify", bundle).exit_code == 0
    kotlin = next(bundle.rglob("LesionPreprocessor.kt")).read_text()
    assert "const val SIZE = 96" in kotlin


@pytest.mark.parametrize("fitted", ["tf_keras"], indirect=True)
def test_a_run_without_pictures_scores_and_says_what_an_export_needs(
    fitted: Path, pictures: Path, tmp_path: Path, edge_melanoma: Run
) -> None:
    run, picture = tmp_path / "run", next(pictures.rglob("*.png"))
    assert edge_melanoma("import", fitted / "model.keras", "--out", run).exit_code == 0
    (row,) = json.loads(edge_melanoma("predict", run, picture, "--json").stdout)
    assert (row["decision"], row["threshold_source"]) == (None, None)
    for command in ("export", "bench", "threshold"):
        refused = edge_melanoma(command, run)
        assert refused.exit_code == 2
        assert refused.stderr == (
            f"edge-melanoma: {run} was imported without pictures: it has none to calibrate with, "
            f"to choose a threshold on or to be tested on; import it again with --data DIR "
            f"--force.\n"
        )
    judged = edge_melanoma("evaluate", run, "--data", pictures / "test")
    assert judged.exit_code == 0, judged.stderr


@pytest.mark.thorough
@pytest.mark.parametrize("fitted", ["tf_keras"], indirect=True)
def test_a_score_that_is_not_the_notebooks_leaves_no_run(
    fitted: Path, pictures: Path, tmp_path: Path, edge_melanoma: Run
) -> None:
    run, picture = tmp_path / "run", next(pictures.rglob("*.png"))
    large = tmp_path / "large.png"
    Image.open(picture).resize((120, 90)).save(large)
    for path, cause in ((picture, "fed other numbers"), (large, "it has 120x90 pixels")):
        result = edge_melanoma(
            "import", fitted / "model.keras", "--out", run, "--check", f"{path}=0.0001"
        )
        assert result.exit_code == 2
        assert f"{path} was to score 0.000100 and scores" in result.stderr
        assert cause in result.stderr
        assert not run.exists()


def test_a_keras_file_in_place_of_a_run_is_told_to_be_imported(
    tmp_path: Path, edge_melanoma: Run
) -> None:
    path = tmp_path / "mine.keras"
    path.write_bytes(b"PK")
    for command in ("export", "bench", "predict"):
        arguments = [tmp_path / "a.png"] if command == "predict" else []
        result = edge_melanoma(command, path, *arguments)
        assert result.exit_code == 2
        advice = f"import it first: edge-melanoma import {path} --out runs/mine --data DIR."
        assert result.stderr.endswith(f"{advice}\n")


BAD_CHECKS = {
    "a.png": "--check a.png gives no score",
    "a.png=high": "--check a.png=high gives no score",
    "a.png=1.5": "--check a.png=1.5 gives no score",
    "missing.csv": "--check missing.csv cannot be read",
    "missing.png=0.5": "missing.png is missing",
}


@pytest.mark.parametrize("word", BAD_CHECKS)
def test_a_check_that_cannot_be_used_is_refused_before_any_work(
    word: str, tmp_path: Path, edge_melanoma: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.keras").write_bytes(b"PK")
    result = edge_melanoma("import", "model.keras", "--out", "run", "--check", word)
    assert (result.exit_code, result.stdout) == (2, "")
    assert BAD_CHECKS[word] in result.stderr
    assert not Path("run").exists()


def test_a_table_of_checks_names_pictures_from_its_own_folder(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    table = tmp_path / "scores.csv"
    table.write_text("\ufefffile,score\na.png,0.25\n", encoding="utf-8")
    assert read_checks([str(table)]) == {tmp_path / "a.png": 0.25}
