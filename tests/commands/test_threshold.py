"""`threshold` shows every model's operating point and changes what decides only when told to."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from graded_run import make_graded_run
from made import joined, predictions_from

from edge_melanoma.api import predict
from edge_melanoma.runs.converted import open_converted
from edge_melanoma.runs.models import TrainedModel

Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    return make_graded_run(tmp_path_factory.mktemp("graded"))


def manifest_of(run: TrainedModel) -> Any:
    return open_converted(run.exports_folder / "model_int8.tflite").manifest


def test_keras_and_each_export_have_a_row_with_recall_first(
    edge_melanoma: Cli, run: TrainedModel, tmp_path: Path
) -> None:
    out = tmp_path / "points.json"
    result = edge_melanoma("threshold", run.folder, "--json", out)
    lines = result.stdout.splitlines()
    assert any("model" in line and "recall" in line and "integer" in line for line in lines)
    (keras,) = (line for line in lines if "│ keras" in line)
    (int8,) = (line for line in lines if "│ int8" in line)
    assert lines[-2:] == [f"Wrote   {out}", f"Next    edge-melanoma bench {run.folder}"]
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in (keras, int8)]
    assert cells == [
        ["keras", "1.0000", "0.5101 .. 1.0000", "0.5000", "0.125490", ""],
        ["int8", "1.0000", "0.5101 .. 1.0000", "0.5000", "0.125000", "21"],
    ]
    told = json.loads(out.read_text())
    assert told["dataset"] == {
        "name": "greys",
        "side": "validation",
        "images": 8,
        "benign": 4,
        "malignant": 4,
    }
    # Of the reference 64 / 255 is the lowest melanoma and 0 the next lower score.
    assert told["operating_point"]["threshold"] == 32 / 255
    (export,) = told["exports"]
    assert (export["mode"], export["file"]) == ("int8", "model_int8.tflite")
    assert export["operating_point"] == manifest_of(run)["operating_point"]


def test_another_recall_is_shown_and_saved_only_when_told(
    edge_melanoma: Cli, run: TrainedModel, tmp_path: Path
) -> None:
    out = tmp_path / "points.json"
    edge_melanoma("threshold", run.folder, "--min-recall", "0.7", "--json", out)
    (export,) = json.loads(out.read_text())["exports"]
    assert export["operating_point"]["integer"] == 23
    assert manifest_of(run)["operating_point"]["integer"] == 21
    edge_melanoma("threshold", run.folder, "--min-recall", "0.7", "--save")
    assert manifest_of(run)["operating_point"] == export["operating_point"]
    assert manifest_of(run)["threshold"] == 0.625


def test_predict_and_evaluate_decide_at_the_file_s_own_threshold(
    edge_melanoma: Cli, tmp_path: Path
) -> None:
    run = make_graded_run(tmp_path)
    edge_melanoma("threshold", run.folder)
    model, data = run.exports_folder / "model_int8.tflite", tmp_path / "data"
    pictures = [data / "benign" / "0.png", data / "malignant" / "0.png"]
    rows = json.loads(edge_melanoma("predict", model, *pictures, "--json").stdout)
    assert [(row["output_integer"], row["decision"]) for row in rows] == [
        (20, "benign"),
        (21, "malignant"),
    ]
    assert {(row["threshold"], row["threshold_integer"]) for row in rows} == {(0.125, 21)}
    apart = tmp_path / "phone"
    apart.mkdir()
    for path in (model, model.with_suffix(".json")):
        (apart / path.name).write_bytes(path.read_bytes())
    out = tmp_path / "metrics.json"
    edge_melanoma("evaluate", apart / model.name, "--data", data, "--json", out)
    told = json.loads(out.read_text())
    assert (told["threshold"], told["metrics"]["recall"]) == (0.125, 1.0)
    # 0 and 1 are right; of a quarter each, half and three quarters 1, 0 and 2 of 2 are malignant.
    assert told["calibration"]["ece"] == (abs(0.5 - 1) + abs(0.5 - 0) + abs(1.5 - 2)) / 8


def test_three_answers_are_saved_in_the_file_and_decide_there(
    edge_melanoma: Cli, tmp_path: Path
) -> None:
    run = make_graded_run(tmp_path)
    out = tmp_path / "points.json"
    shown = edge_melanoma("threshold", run.folder, "--max-miss", "0.03", "--save")
    assert "too few melanomas to promise it in this set (4, 95 more needed)" in " ".join(
        shown.stdout.split()
    )
    edge_melanoma("threshold", run.folder, "--max-miss", "0.03", "--json", out)
    told = json.loads(out.read_text())
    promise = told["exports"][0]["operating_point"]["promise"]
    ends = [(promise[end]["threshold"], promise[end]["integer"]) for end in ("lower", "upper")]
    # Melanomas give 21, 23, 23 and 24, benign pictures 20, 20, 21 and 22.
    assert ends == [(0.125, 21), (0.625, 23)]
    assert promise["clinics"][""]["melanomas"]["promised"] is False
    model, data = run.exports_folder / "model_int8.tflite", tmp_path / "data"
    pictures = [data / "benign" / f"{n}.png" for n in (0, 3)] + [data / "malignant" / "3.png"]
    alone = tmp_path / "alone.tflite"
    alone.write_bytes(model.read_bytes())
    for file in (model, alone):
        rows = json.loads(edge_melanoma("predict", file, *pictures, "--json").stdout)
        decided = [(row["output_integer"], row["decision"]) for row in rows]
        assert decided == [(20, "benign"), (22, "refer"), (24, "malignant")]
        assert {row["upper"]["integer"] for row in rows} == {23}
    assert [found.decision for found in predict(model, pictures)] == [
        "benign",
        "refer",
        "malignant",
    ]
    words = edge_melanoma("predict", model, *pictures).stdout
    assert "see a doctor anyway" in words
    rows = json.loads(
        edge_melanoma("predict", model, *pictures, "--threshold", "0.5", "--json").stdout
    )
    assert [row["decision"] for row in rows] == ["benign", "malignant", "malignant"]
    edge_melanoma("evaluate", alone, "--data", data, "--json", out)
    decisions = json.loads(out.read_text())["decisions"]
    assert decisions["answers"]["malignant"] == {"not_flagged": 0, "refer": 1, "flagged": 3}


def test_an_upper_threshold_below_the_lower_one_is_refused(
    edge_melanoma: Cli, tmp_path: Path
) -> None:
    run = make_graded_run(tmp_path)
    edge_melanoma("threshold", run.folder, "--max-miss", "0.03", "--save")
    picture = tmp_path / "data" / "benign" / "0.png"
    path = run.exports_folder / "model_int8.json"
    manifest = json.loads(path.read_text())
    manifest["operating_point"]["promise"]["upper"]["threshold"] = 0.1
    path.write_text(json.dumps(manifest))
    result = edge_melanoma("predict", run.exports_folder / "model_int8.tflite", picture)
    assert result.exit_code == 2
    assert "has an upper threshold below the lower one" in result.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--confidence", "0.9"), "--confidence is for --max-miss; give both, or leave it out."),
        (
            ("--max-miss", "0.03", "--min-recall", "0.9"),
            "--min-recall is for one threshold and --max-miss for two; leave one of them out.",
        ),
        (
            ("--max-miss", "3"),
            "--max-miss is 3.0; expected a number between 0 and 1, such as 0.03.",
        ),
    ],
)
def test_what_cannot_be_promised_together_is_one_sentence(
    edge_melanoma: Cli, run: TrainedModel, options: tuple[str, ...], sentence: str
) -> None:
    result = edge_melanoma("threshold", run.folder, *options)
    assert result.exit_code == 2
    assert result.stderr == f"edge-melanoma: {sentence}\n"


@pytest.mark.parametrize("min_recall", ["0", "1.5"])
def test_a_recall_that_is_no_share_is_refused(
    edge_melanoma: Cli, run: TrainedModel, min_recall: str
) -> None:
    result = edge_melanoma("threshold", run.folder, "--min-recall", min_recall)
    assert result.exit_code == 2
    assert result.stderr == (
        f"edge-melanoma: --min-recall is {float(min_recall)}; expected more than 0 and at most 1, "
        "such as 0.95.\n"
    )


def test_each_clinic_has_a_row_and_the_one_that_decides_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from edge_melanoma.commands.threshold import _show
    from edge_melanoma.evaluation.thresholds import choose_operating_point, describe_rule

    easy = predictions_from("easy", mel=[0.9] * 40, nv=[0.1] * 40)
    hard = predictions_from("hard", mel=[0.5] * 40, nv=[0.1] * 20 + [0.7] * 20)
    point = asdict(choose_operating_point(joined(easy, hard)))
    dataset = {"name": "two clinics", "images": 160, "malignant": 80}
    told = {"rule": describe_rule(point), "dataset": dataset, "operating_point": point}
    _show({**told, "exports": []})
    rows = [line.split("│")[1:5] for line in capsys.readouterr().out.splitlines() if "│" in line]
    assert [[cell.strip() for cell in row] for row in rows][1:] == [
        ["easy", "1.0000", "0.9124 .. 1.0000", "1.0000"],
        ["hard, which decides", "1.0000", "0.9124 .. 1.0000", "0.5000"],
    ]
