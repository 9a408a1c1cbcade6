"""`predict --counts`, and `drift` of what it wrote."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_melanoma.runs.bundled import bundled_model
from edge_melanoma.runs.converted import open_converted
from edge_melanoma.tflite.counts import MEASURES

Cli = Callable[..., Any]


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    """Of 240 pictures, as those of one clinic of validation are."""
    block = open_converted(bundled_model()).counts
    group = block["groups"]["HAM"]["counts"]
    path = tmp_path / "counts.json"
    told = {"schema": 1, "reference": block["reference"], "counts": group}
    path.write_text(json.dumps(told | {"pictures": sum(group["gate"])}))
    return path


def test_pictures_of_a_known_clinic_are_no_drift(edge_melanoma: Cli, counts: Path) -> None:
    found = edge_melanoma("drift", counts, "bundled")
    assert (found.exit_code, "No drift: the pictures are like HAM" in found.stdout) == (0, True)
    told = json.loads(edge_melanoma("drift", counts, bundled_model(), "--json").stdout)
    assert (told["drift"], told["nearest"], told["changed"]) == (False, "HAM", [])
    assert set(told["groups"]["HAM"]["measures"]) == set(MEASURES)


def test_counts_alone_tell_that_they_are_of_the_model_in_the_package(
    edge_melanoma: Cli, counts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert edge_melanoma("drift", counts).exit_code == 0
    counts.write_text(json.dumps(json.loads(counts.read_text()) | {"reference": "0" * 64}))
    found = edge_melanoma("drift", counts)
    assert (found.exit_code, "There is no finished run in runs/" in found.stderr) == (2, True)


def test_a_camera_that_sees_more_blue_is_drift(edge_melanoma: Cli, counts: Path) -> None:
    told = json.loads(counts.read_text())
    *rest, last = told["counts"]["blue"]
    told["counts"]["blue"] = [0, *rest[:-1], rest[-1] + last]
    counts.write_text(json.dumps(told))
    found = edge_melanoma("drift", counts, "bundled")
    assert (found.exit_code, "Drift, in blue" in found.stdout) == (1, True)


def test_counts_of_another_model_are_refused(edge_melanoma: Cli, counts: Path) -> None:
    counts.write_text(json.dumps(json.loads(counts.read_text()) | {"reference": "0" * 64}))
    found = edge_melanoma("drift", counts, "bundled")
    assert (found.exit_code, found.stderr.count("\n")) == (2, 1)
    assert "holds counts of another model" in found.stderr


def test_a_run_without_counts_is_refused(
    edge_melanoma: Cli, counts: Path, exported_run: Any
) -> None:
    found = edge_melanoma("drift", counts, exported_run.folder)
    assert (found.exit_code, "has no counts of validation pictures" in found.stderr) == (2, True)


def test_predict_adds_twenty_pictures_or_none(
    edge_melanoma: Cli, phantoms: Path, tmp_path: Path
) -> None:
    path = tmp_path / "counts.json"
    pictures = sorted(phantoms.rglob("*.png"))
    few = edge_melanoma("predict", "bundled", *pictures[:19], "--counts", path)
    assert (few.exit_code, path.exists()) == (2, False)
    assert "grows by 20 pictures at least" in few.stderr
    asked = "bundled", phantoms, "--recursive", "--counts", path
    done = edge_melanoma("predict", *asked, "--json")
    judged = sum(row["decision"] != "not judged" for row in json.loads(done.stdout))
    assert (done.exit_code, judged >= 20) == (0, True)
    told = json.loads(path.read_text())
    assert (told["pictures"], sum(told["counts"]["score"])) == (80, judged)
    run = edge_melanoma("predict", "bundled", *pictures[:1], "--counts", path)
    assert (run.exit_code, json.loads(path.read_text())) == (2, told)
