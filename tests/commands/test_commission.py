"""`commission` reports on a clinic, and writes a bundle that says whose its numbers are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from graded_run import make_graded_run

from edge_melanoma.data.phantoms import write_phantoms
from edge_melanoma.runs.bundled import bundled_model
from edge_melanoma.runs.converted import open_converted
from edge_melanoma.tflite.metadata import Seal, read_seal

Cli = Callable[..., Any]
MODEL = Path("app/src/main/assets/melanoma_int8.tflite")


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clinic") / "ward"
    write_phantoms(folder, count=80, seed=3, size=96)
    return folder


@pytest.mark.thorough
def test_a_bundle_with_the_clinic_s_numbers_says_whose_they_are(
    edge_melanoma: Cli, clinic: Path, tmp_path: Path
) -> None:
    out, report = tmp_path / "bundle", tmp_path / "report.json"
    edge_melanoma("commission", "bundled", "--data", clinic, "--out", out, "--json", report)
    told = json.loads(report.read_text())
    shipped, own = open_converted(bundled_model()), open_converted(out / MODEL)
    assert (told["model"]["sha256"], told["dataset"]["images"]) == (shipped.sha256, 80)
    assert own.sha256 != shipped.sha256
    assert read_seal(own.data) is Seal.INTACT
    info = json.loads((out / MODEL).with_name("model_info.json").read_text())["operating_point"]
    assert info["commissioned"]["shipped_sha256"] == shipped.sha256
    assert info["commissioned"]["dataset"]["fingerprint"] == told["dataset"]["fingerprint"]
    assert info["chosen_on"] == "pictures of ward"
    assert info["correction"]["temperature"] == told["correction"]["temperature"]
    picture = next((clinic / "malignant").iterdir())
    (row,) = json.loads(edge_melanoma("predict", out / MODEL, picture, "--json").stdout)
    assert row["threshold"] == own.manifest["threshold"]
    assert 0 <= row["p_corrected"] <= 1
    assert edge_melanoma("android", "--verify", out).exit_code == 0


def test_the_tables_compare_what_was_shipped_with_what_was_chosen_here(
    edge_melanoma: Cli, clinic: Path
) -> None:
    shown = edge_melanoma("commission", "bundled", "--data", clinic).stdout
    for words in ("as shipped", "chosen here", "judged by the other half", "more melanomas"):
        assert words in shown


def test_a_lone_file_gets_no_bundle_and_is_told_before_any_work(
    edge_melanoma: Cli, clinic: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "model.tflite"
    alone.write_bytes(bundled_model().read_bytes())
    result = edge_melanoma("commission", alone, "--data", clinic, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "--out writes a bundle, which needs the int8 file of a run" in result.stderr


def test_too_few_lesions_are_one_sentence(edge_melanoma: Cli, tmp_path: Path) -> None:
    run = make_graded_run(tmp_path)
    folder = tmp_path / "few"
    write_phantoms(folder, count=20, seed=4, size=96)
    model = run.exports_folder / "model_int8.tflite"
    alone = tmp_path / "alone.tflite"
    alone.write_bytes(model.read_bytes())
    result = edge_melanoma("commission", alone, "--data", folder)
    assert result.exit_code == 2
    assert "a commission needs at least 20 of each" in result.stderr
