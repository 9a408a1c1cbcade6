"""`--external NAME=DIR` in train, evaluate and bench, on a run that was trained once."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import CommandResult
from made import draw_pictures

from edge_melanoma.benchmarks.parity import outside
from edge_melanoma.data.phantoms import write_phantoms
from edge_melanoma.errors import install_command
from edge_melanoma.runs.models import TrainedModel, open_run

Cli = Callable[..., Any]
CARD = """\
name = "Clinic"
source = "drawn by a test"
licence = "CC0 1.0"
geometry = "as drawn"
label_definition = "malignant means drawn so"
"""


@pytest.fixture(scope="session")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight other phantoms with a card."""
    folder = tmp_path_factory.mktemp("outside") / "clinic"
    write_phantoms(folder, count=8, seed=2, size=None)
    (folder / "dataset.toml").write_text(CARD, encoding="utf-8")
    return folder


@pytest.fixture
def run(trained_run: TrainedModel, tmp_path: Path) -> TrainedModel:
    """A copy that can be written to."""
    shutil.copytree(trained_run.folder, tmp_path / "run")
    return open_run(tmp_path / "run")


@pytest.fixture
def benign_clinic(run: TrainedModel, phantoms: Path, clinic: Path, tmp_path: Path) -> Path:
    """New benign pictures, and malignant ones that the run was trained on."""
    folder = tmp_path / "benign clinic"
    shutil.copytree(clinic / "benign", folder / "benign")
    train = json.loads((run.folder / "split.json").read_text())["train"]
    name = next(image_id for image_id in train if image_id.startswith("malignant"))
    (folder / "malignant").mkdir()
    shutil.copy(phantoms / name, folder / "malignant" / "other name.png")
    return folder


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def resume(cli: Cli, run: TrainedModel, data: Path, *external: str) -> Any:
    """`train --resume` of a finished run trains nothing, and scores what is new."""
    words = ["train", "--variant", "frozen", "--weights", "none", "--epochs", "2"]
    words += [word for given in external for word in ("--external", given)]
    return cli(*words, "--resume", "--data", data, "--out", run.folder)


def refuse(result: Any, sentence: str) -> None:
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.strip().splitlines()[-1] == f"edge-melanoma: {sentence}"


@pytest.mark.parametrize("words", [("train", "--data", "x"), ("evaluate", "x"), ("bench", "x")])
def test_a_malformed_external_set_is_named_before_anything_else(
    edge_melanoma: Cli, words: tuple[str, ...]
) -> None:
    refuse(
        edge_melanoma(*words, "--external", "clinic"),
        "--external clinic is not NAME=DIR; expected a name and the folder of a data set, such as "
        "--external clinic=DIR.",
    )


def test_train_writes_and_prints_the_figures_from_outside(
    edge_melanoma: Cli, run: TrainedModel, phantoms: Path, clinic: Path
) -> None:
    result = resume(edge_melanoma, run, phantoms, f"clinic={clinic}")
    assert result.exit_code == 0
    external = read(run.folder / "evaluation.json")["external"]["clinic"]
    assert external["dataset"]["images"] == 8
    assert external["dataset"]["card"]["licence"] == "CC0 1.0"
    assert external["left_out"] == 0
    assert external["at_operating_point"]["threshold"] == run.threshold
    assert external["at_half"]["threshold"] == 0.5
    told = open_run(run.folder).manifest["external"]["clinic"]
    assert (run.folder / told).resolve() == clinic.resolve()
    assert "predictions_external_clinic.csv" in open_run(run.folder).manifest["files"]
    assert result.stdout.count("outside: clinic") == 2
    assert (
        "Outside, clinic: 8 images, 4 malignant; 0 left out as copies of images that were learned "
        "from, compared by bytes and pixels\n"
        "clinic: drawn by a test; licence: CC0 1.0; as drawn; malignant means drawn so\n"
    ) in result.stdout


@pytest.mark.thorough
def test_a_set_that_was_scored_is_not_scored_again(
    edge_melanoma: Cli, run: TrainedModel, phantoms: Path, clinic: Path
) -> None:
    resume(edge_melanoma, run, phantoms, f"clinic={clinic}")
    scores = run.folder / "predictions_external_clinic.csv"
    scores.unlink()
    resume(edge_melanoma, run, phantoms, f"clinic={clinic}")
    assert not scores.exists()
    resume(edge_melanoma, run, phantoms, f"other={clinic}")
    assert set(read(run.folder / "evaluation.json")["external"]) == {"clinic", "other"}


def test_train_says_what_a_set_of_one_class_leaves_undefined(
    edge_melanoma: Cli, run: TrainedModel, phantoms: Path, benign_clinic: Path
) -> None:
    result = resume(edge_melanoma, run, phantoms, f"benign={benign_clinic}")
    assert result.exit_code == 0
    external = read(run.folder / "evaluation.json")["external"]["benign"]
    assert external["left_out_images"] == ["malignant/other name.png"]
    assert external["at_half"]["undefined"] == ["recall", "precision", "f1", "auc"]
    assert 0 <= external["at_half"]["metrics"]["specificity"] <= 1
    assert "recall, precision, F1 and AUC are undefined without malignant images" in result.stdout


def test_a_card_that_cannot_be_used_stops_train_before_the_work(
    edge_melanoma: Cli, run: TrainedModel, phantoms: Path, clinic: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "clinic"
    shutil.copytree(clinic, folder)
    (folder / "dataset.toml").write_text(CARD + "year = 2024\n", encoding="utf-8")
    refuse(
        resume(edge_melanoma, run, phantoms, f"clinic={folder}"),
        f"The data set card {folder / 'dataset.toml'} has the unknown key 'year'; "
        "did you mean 'geometry'?",
    )


def test_a_finished_run_of_another_split_is_not_measured_by_train(
    edge_melanoma: Cli, run: TrainedModel, clinic: Path, tmp_path: Path
) -> None:
    write_phantoms(tmp_path / "other", count=60, seed=3, size=None)
    refuse(
        resume(edge_melanoma, run, tmp_path / "other", f"clinic={clinic}"),
        f"The finished run {run.folder} has another split than this command would make; "
        f"score it with: edge-melanoma evaluate {run.folder} --external NAME=DIR",
    )


def test_evaluate_measures_the_own_side_and_each_set_from_outside(
    edge_melanoma: Cli, run: TrainedModel, clinic: Path, benign_clinic: Path, tmp_path: Path
) -> None:
    out = tmp_path / "evaluation.json"
    words = ["--external", f"clinic={clinic}", "--external", f"benign={benign_clinic}"]
    result = edge_melanoma("evaluate", run.folder, *words, "--json", out)
    assert result.exit_code == 0
    told = read(out)
    assert told["dataset"]["name"] == "phantoms, test side"
    assert list(told["external"]) == ["clinic", "benign"]
    assert told["external"]["clinic"]["threshold"] == told["threshold"]
    assert told["external"]["clinic"]["undefined"] == []
    assert told["external"]["benign"]["metrics"]["recall"] is None
    assert "phantoms, test side: no data set card" in result.stdout
    assert "outside, on clinic: 8 images, 4 malignant" in result.stdout


def test_evaluate_shows_the_test_side_without_leaked_copies(
    edge_melanoma: Cli, run: TrainedModel, tmp_path: Path
) -> None:
    split = read(run.folder / "split.json")
    split["leaked_test"] = split["test"][:2]
    (run.folder / "split.json").write_text(json.dumps(split), encoding="utf-8")
    result = edge_melanoma("evaluate", run.folder, "--json", tmp_path / "out.json")
    rest = read(tmp_path / "out.json")["test_without_leaked"]
    assert rest["images"] == len(split["test"]) - 2
    assert "test side, without leaked copies" in result.stdout


@pytest.mark.thorough
def test_bench_measures_every_file_on_each_set_from_outside(
    edge_melanoma: Cli, exported_run: TrainedModel, clinic: Path, tmp_path: Path
) -> None:
    shutil.copytree(exported_run.folder, tmp_path / "run")
    words = ["--external", f"clinic={clinic}", "--runs", "2", "--warmup", "0", "--limit", "6"]
    words += ["--full"]
    result = edge_melanoma("bench", tmp_path / "run", *words)
    assert result.exit_code in (0, 1)
    bench = tmp_path / "run" / "bench-limit-6"
    report = read(bench / "parity.json")
    (outside,) = report["external"]
    assert (outside["dataset"]["name"], outside["dataset"]["images"]) == ("clinic", 6)
    assert [one["mode"] for one in outside["candidates"]] == ["float32", "float16", "int8"]
    assert outside["candidates"][0]["agreement"] == 1.0
    assert "latency_ms" not in outside["reference"]
    scores = bench / "external" / "clinic" / "predictions_int8.csv"
    assert len(scores.read_text().splitlines()) == 7
    heading = "Outside, clinic: 6 images, 3 malignant, 0 left out as copies"
    assert heading in result.stdout
    assert heading in (bench / "parity.md").read_text()


def test_bench_needs_tensorflow_for_the_reference_outside(
    edge_melanoma: Cli, exported_run: TrainedModel, clinic: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside, "package_version", lambda name: None)
    refuse(
        edge_melanoma("bench", exported_run.folder, "--external", f"clinic={clinic}"),
        "bench --external, for the reference, needs the package tensorflow, which is not "
        f"installed; install it with: {install_command('train')}",
    )


def test_a_set_of_one_class_is_scored_and_what_it_does_not_define_is_told(
    edge_melanoma: Callable[..., CommandResult], tmp_path: Path
) -> None:
    draw_pictures(tmp_path / "moles", 1, 3, 5)
    out = tmp_path / "out.json"
    result = edge_melanoma("evaluate", "bundled", "--data", tmp_path / "moles", "--json", out)
    assert result.exit_code == 0, result.stderr
    assert "recall, precision, F1 and AUC are undefined without malignant images" in result.stderr
    told = json.loads(out.read_text())
    assert (told["dataset"]["malignant"], told["metrics"]["recall"]) == (0, None)
    assert 0 <= told["metrics"]["specificity"] <= 1
