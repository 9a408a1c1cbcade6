"""edge-melanoma android: what it prints, its exit codes, and that it needs no TensorFlow."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
ASSETS = Path("app/src/main/assets")


@pytest.fixture
def without_tensorflow(tmp_path: Path) -> dict[str, str]:
    """An environment in which TensorFlow cannot be imported, as in the light core."""
    shadow = tmp_path / "shadow" / "tensorflow"
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").write_text("raise ModuleNotFoundError(name='tensorflow')\n")
    root = str(Path(__file__).parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(shadow.parent), root])}


def run_apart(
    environment: dict[str, str], folder: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge_melanoma", *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.thorough
def test_the_bundle_of_the_shipped_model_needs_no_tensorflow(
    tmp_path: Path, without_tensorflow: dict[str, str], android_bundle_folder: Path
) -> None:
    made = run_apart(without_tensorflow, tmp_path, "android", "bundled", "--json")
    assert made.returncode == 0, made.stderr
    told = json.loads(made.stdout)
    info = json.loads((tmp_path / "android_assets" / ASSETS / "model_info.json").read_text())
    assert told["models"] == info["models"]
    for path in android_bundle_folder.rglob("*"):
        if path.is_file():
            same = tmp_path / "android_assets" / path.relative_to(android_bundle_folder)
            assert same.read_bytes() == path.read_bytes(), path


def test_float16_without_tensorflow_says_which_extra_brings_it(
    tmp_path: Path, without_tensorflow: dict[str, str]
) -> None:
    asked = run_apart(without_tensorflow, tmp_path, "android", "bundled", "--float16")
    assert asked.returncode == 2
    assert re.fullmatch(
        r"edge-melanoma: This command needs the package tensorflow, which is not installed; "
        r"install it with: pip install '.*\[train\]'.*",
        asked.stderr.splitlines()[-1],
    )
    assert not (tmp_path / "android_assets").exists()


def test_a_folder_that_is_not_empty_is_refused_before_the_work(
    edge_melanoma: Cli, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").touch()
    result = edge_melanoma("android", "bundled", "--out", tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"edge-melanoma: {tmp_path} exists and is not empty; choose another --out, or replace the "
        f"files of the bundle with --force.\n"
    )


def test_a_mode_that_is_not_int8_is_refused(edge_melanoma: Cli, tmp_path: Path) -> None:
    result = edge_melanoma("android", "bundled", "--mode", "float32", "--out", tmp_path / "b")
    assert result.exit_code == 2
    assert result.stderr == ("edge-melanoma: --mode float32 is none; expected int8 or int8-qat.\n")


def test_predict_takes_the_threshold_of_a_bundles_model_from_beside_it(
    edge_melanoma: Cli, android_bundle_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(android_bundle_folder / ASSETS, tmp_path / "assets")
    picture = android_bundle_folder / "app/src/androidTest/assets/golden/golden_01.png"
    info = json.loads((tmp_path / "assets" / "model_info.json").read_text())
    for model in info["models"]:
        path = tmp_path / "assets" / model["file"]
        (row,) = json.loads(edge_melanoma("predict", path, picture, "--json").stdout)
        assert row["threshold_integer"] == model["threshold"]["integer"]
        assert row["threshold"] == model["threshold"]["float"]
        path.write_bytes(path.read_bytes() + b" ")
        result = edge_melanoma("predict", path, picture)
        assert (result.exit_code, result.stderr) == (
            2,
            f"edge-melanoma: {path} is not the file that model_info.json describes (its sha256 "
            f"differs); export it again.\n",
        )


def test_verify_tells_what_it_looked_at(edge_melanoma: Cli, android_bundle_folder: Path) -> None:
    result = edge_melanoma("android", "--verify", android_bundle_folder)
    assert result.exit_code == 0
    assert result.stdout.endswith("2 models, 16 pictures: all as stated.\n")


def test_verify_leaves_with_1_where_something_differs(
    edge_melanoma: Cli, android_bundle_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(android_bundle_folder, folder)
    (folder / ASSETS / "labels.txt").write_text("benign\n")
    result = edge_melanoma("android", "--verify", folder)
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{ASSETS}/labels.txt: SHA256SUMS: expected ")
    told = json.loads(edge_melanoma("android", "--verify", folder, "--json").stdout)
    assert (told["bundle"], told["ok"]) == ("bundle", False)
    assert told["findings"][0]["file"] == f"{ASSETS}/labels.txt"


def test_verify_of_a_folder_that_is_no_bundle_leaves_with_2(
    edge_melanoma: Cli, tmp_path: Path
) -> None:
    result = edge_melanoma("android", "--verify", tmp_path)
    assert result.exit_code == 2
    assert result.stderr == (
        f"edge-melanoma: {tmp_path} is no Android bundle: it has no SHA256SUMS; write one with "
        f"edge-melanoma android.\n"
    )


@pytest.mark.slow
def test_a_float16_file_is_made_from_the_weights_where_tensorflow_is(
    edge_melanoma: Cli, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    result = edge_melanoma("android", "bundled", "--float16", "--out", folder)
    assert result.exit_code == 0, result.stderr
    told = json.loads((folder / ASSETS / "model_info.json").read_text())["models"][2]
    assert told["file"] == "melanoma_float16.tflite"
    assert (told["input"]["dtype"], told["input"]["integer_rule"]) == ("float32", "p / 255")
    assert told["threshold"]["integer"] is None
    assert edge_melanoma("android", "--verify", folder).exit_code == 0
