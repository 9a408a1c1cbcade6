"""`predict` where people use it: folders, patterns, lists, a table of results, a model by name."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made import draw_pictures
from PIL import Image

from edge_melanoma.runs.models import TrainedModel

Run = Callable[..., Any]


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = draw_pictures(tmp_path / "scans", 1, 2, 3)
    (folder / "benign" / "cut [red].png").write_bytes(b"no picture")
    return folder


def files_of(result: Any, folder: Path) -> list[str]:
    assert result.exit_code == 0, result.stderr
    return [str(Path(row["file"]).relative_to(folder)) for row in json.loads(result.stdout)]


def test_a_bad_picture_among_those_of_a_folder_is_one_row(scans: Path, edge_melanoma: Run) -> None:
    result = edge_melanoma("predict", "bundled", scans, "--recursive", "--json")
    assert files_of(result, scans) == [
        "benign/1.png",
        "benign/3.png",
        "benign/cut [red].png",
        "malignant/2.png",
    ]
    bad = scans / "benign" / "cut [red].png"
    assert json.loads(result.stdout)[2] == {
        "file": str(bad),
        "error": f"The image {bad} is not a picture.",
    }
    shown = edge_melanoma("predict", "bundled", scans / "benign")
    assert "cut [red].png is not a picture." in " ".join(shown.stdout.replace("│", "").split())


def test_the_model_may_be_an_option_and_pictures_a_pattern(scans: Path, edge_melanoma: Run) -> None:
    result = edge_melanoma("predict", "--model", "bundled", scans / "*" / "[23].png", "--json")
    assert files_of(result, scans) == ["benign/3.png", "malignant/2.png"]


def test_pictures_may_be_listed_in_a_file_or_on_stdin(
    scans: Path, edge_melanoma: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = f"{scans / 'malignant'}\n\n{scans / 'benign' / '1.png'}\n"
    (scans / "list.txt").write_text(lines, encoding="utf-8-sig")
    listed = ["malignant/2.png", "benign/1.png"]
    result = edge_melanoma("predict", "bundled", "--list", scans / "list.txt", "--json")
    assert files_of(result, scans) == listed
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    result = edge_melanoma("predict", "--model", "bundled", "--list", "-", "--json")
    assert files_of(result, scans) == listed


def test_the_csv_has_the_rows_of_the_json_and_a_column_for_errors(
    scans: Path, edge_melanoma: Run, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "scores.csv"
    result = edge_melanoma("predict", "bundled", scans / "benign", "--json", "--csv", out)
    with out.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    told = json.loads(result.stdout)
    assert [row["file"] for row in rows] == [row["file"] for row in told]
    assert [row["error"] for row in rows] == ["", "", told[2]["error"]]
    for row, expected in zip(rows[:2], told[:2], strict=True):
        # Patches of colour are no picture of a lesion.
        assert (row["p_malignant"], row["decision"]) == ("", "not judged")
        assert expected["decision"] == "not judged"
        assert float(row["gate_distance"]) == expected["gate"]["distance"]
        assert row["reasons"] == "; ".join(expected["gate"]["reasons"])
    assert rows[2]["p_malignant"] == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Expected a model and what to score, as in: edge-melanoma predict bundled photo.jpg"),
        (("bundled",), "Expected a model and what to score"),
        (("--model", "bundled"), "Expected a model and what to score"),
        (("bundled", "--list", "no.txt"), "--list no.txt cannot be read; expected a UTF-8 text"),
        (("bundled", "no/*.jpg"), "There are no pictures in no/*.jpg;"),
        (("bundled", "no.jpg"), "The image no.jpg is missing or is not a regular file."),
        (("bundled", "no.jpg", "--csv", "."), ". is a folder; expected the name of a file"),
    ],
)
def test_what_cannot_be_scored_is_one_sentence(
    arguments: tuple[str, ...],
    sentence: str,
    edge_melanoma: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = edge_melanoma("predict", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"edge-melanoma: {sentence}")
    assert result.stderr.count("\n") == 1


def test_a_picture_of_no_lesion_gets_no_score_but_reasons(
    tmp_path: Path, edge_melanoma: Run
) -> None:
    page = tmp_path / "page.png"
    Image.new("RGB", (200, 300), "white").save(page)
    (row,) = json.loads(edge_melanoma("predict", "bundled", page, "--json").stdout)
    assert (row["p_malignant"], row["output_integer"]) == (None, None)
    assert row["decision"] == "not judged"
    gate = row["gate"]
    assert gate["distance"] > gate["limit"]
    assert gate["in_domain"] is False
    assert gate["reasons"][:2] == ["unlike the training pictures", "too bright"]
    shown = " ".join(edge_melanoma("predict", "bundled", page).stdout.split())
    assert "not judged: unlike the training pictures" in shown
    assert "take it again with less light" in shown


def test_a_model_without_a_gate_judges_everything_and_it_is_said(
    tmp_path: Path, exported_run: TrainedModel, edge_melanoma: Run
) -> None:
    page = tmp_path / "page.png"
    Image.new("RGB", (200, 300), "white").save(page)
    model = exported_run.exports_folder / "model_int8.tflite"
    result = edge_melanoma("predict", model, page, "--json")
    (row,) = json.loads(result.stdout)
    assert row["gate"] is None
    assert row["decision"] in {"malignant", "benign"}
    assert "model_int8.tflite has no gate: whatever a picture shows, it is judged." in result.stderr
