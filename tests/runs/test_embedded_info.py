"""A .tflite file says its threshold itself, wherever it is copied and whatever it is called."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import CommandResult
from tflite_files import without_metadata

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import write_json
from edge_melanoma.machine.schemas import read_json
from edge_melanoma.runs.converted import open_converted
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.tflite.metadata import MODEL_INFO, read_attached_files, read_model_info

Run = Callable[..., CommandResult]
MODES = ("float16", "int8")


@pytest.fixture
def export(exported_run: TrainedModel, tmp_path: Path) -> Path:
    """The int8 export with its manifest, in a folder of its own."""
    for suffix in (".tflite", ".json"):
        name = f"model_int8{suffix}"
        shutil.copy(exported_run.exports_folder / name, tmp_path / name)
    return tmp_path / "model_int8.tflite"


def with_info(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what a file says of itself."""
    from edge_melanoma.converters.metadata import attach_metadata

    data = path.read_bytes()
    attached = read_attached_files(data)
    info = json.loads(attached[MODEL_INFO])
    change(info)
    text = {"description": "b", "version": "1"}
    files = {**attached, MODEL_INFO: json.dumps(info).encode()}
    path.write_bytes(attach_metadata(data, **text, files=files))


@pytest.mark.parametrize("mode", MODES)
def test_a_copy_under_another_name_decides_as_the_export(
    mode: str, exported_run: TrainedModel, phantoms: Path, tmp_path: Path, edge_melanoma: Run
) -> None:
    export = exported_run.exports_folder / f"model_{mode}.tflite"
    copy = tmp_path / "app.tflite"
    shutil.copy(export, copy)
    pictures = sorted(phantoms.rglob("*.png"))[:6]
    rows = [
        json.loads(edge_melanoma("predict", model, *pictures, "--json").stdout)
        for model in (export, copy)
    ]
    assert {row.pop("threshold_source") for row in rows[0]} == {"manifest"}
    assert {row.pop("threshold_source") for row in rows[1]} == {"embedded"}
    assert {row.pop("model") for row in rows[1]} == {"app.tflite"}
    assert [{**row, "model": export.name} for row in rows[1]] == rows[0]


@pytest.mark.parametrize("mode", MODES)
def test_an_export_says_where_it_decides_and_on_what(mode: str, exported_run: TrainedModel) -> None:
    model = open_converted(exported_run.exports_folder / f"model_{mode}.tflite")
    info = read_model_info(model.data, name="it")
    assert info is not None
    (own,) = info["models"]
    assert own["mode"] == mode
    assert own["threshold"] == {
        "float": model.manifest["threshold"],
        "integer": model.manifest["operating_point"]["integer"],
    }
    assert info["views"] == 1
    assert info["trained_on"] == list(exported_run.manifest["dataset"]["folders"])
    assert info["operating_point"]["rule"] == "recall at least 0.95"


def test_a_manifest_that_says_otherwise_is_refused(export: Path) -> None:
    manifest = read_json(export.with_suffix(".json"))
    manifest["operating_point"]["threshold"] = 0.75
    write_json(export.with_suffix(".json"), manifest)
    with pytest.raises(EdgeMelanomaError, match=r"says inside that its threshold is .* says 0\.75"):
        open_converted(export)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda info: info.update(models=[]), "does not describe a model with an input of int8"),
        (lambda info: info.update(models="x"), "at models, expected array, got str"),
        (lambda info: info["models"][0].pop("threshold"), "missing required field threshold"),
        (
            lambda info: info["models"][0]["threshold"].update(float=7),
            r"at models\[0\]\.threshold\.float, expected float",
        ),
        (
            lambda info: info["models"][0]["threshold"].update(integer="7"),
            r"at models\[0\]\.threshold\.integer, expected int",
        ),
    ],
    ids=["no model", "text for models", "no threshold", "a threshold of 7", "text for an integer"],
)
def test_nonsense_inside_a_lone_file_is_one_sentence(
    export: Path, change: Callable[[dict[str, Any]], None], sentence: str
) -> None:
    export.with_suffix(".json").unlink()
    with_info(export, change)
    with pytest.raises(EdgeMelanomaError, match=sentence):
        open_converted(export)


def test_a_file_whose_end_is_cut_off_is_refused_and_not_scored_at_another_threshold(
    export: Path,
) -> None:
    export.with_suffix(".json").unlink()
    data = export.read_bytes()
    for lost in (1, 100, 1000):
        export.write_bytes(data[:-lost])
        with pytest.raises(EdgeMelanomaError, match=r"is cut off: the model_info\.json"):
            open_converted(export)


def test_what_is_attached_and_is_no_json_is_one_sentence(export: Path) -> None:
    from edge_melanoma.converters.metadata import attach_metadata

    text = {"description": "b", "version": "1"}
    data = export.read_bytes()
    for content in (b"{", b"[" * 100_000, b"[1]"):
        broken = attach_metadata(data, **text, files={MODEL_INFO: content})
        with pytest.raises(EdgeMelanomaError, match=f"{MODEL_INFO} inside it "):
            read_model_info(broken, name="it")


def test_a_file_that_states_no_threshold_decides_nothing(
    export: Path, phantoms: Path, edge_melanoma: Run
) -> None:
    export.with_suffix(".json").unlink()
    export.write_bytes(without_metadata(export.read_bytes()))
    picture = next(phantoms.rglob("*.png"))
    told = edge_melanoma("predict", export, picture, "--json")
    (row,) = json.loads(told.stdout)
    assert (row["decision"], row["threshold"], row["threshold_source"]) == (None, None, None)
    assert 0 <= row["p_malignant"] <= 1
    assert "states no threshold: its scores are shown without a decision" in told.stderr
    shown = edge_melanoma("predict", export, picture)
    assert "no decision" in shown.stdout
    (row,) = json.loads(
        edge_melanoma("predict", export, picture, "--threshold", "0", "--json").stdout
    )
    assert (row["decision"], row["threshold_source"]) == ("malignant", "option")


def test_a_new_threshold_stands_in_the_file_too(
    exported_run: TrainedModel, tmp_path: Path, edge_melanoma: Run
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(exported_run.folder, folder)
    result = edge_melanoma("threshold", folder, "--min-recall", "0.5", "--save")
    assert result.exit_code == 0
    model = open_converted(folder / "exports" / "model_int8.tflite")
    info = read_model_info(model.data, name="it")
    assert info is not None
    assert info["models"][0]["threshold"]["float"] == model.manifest["threshold"]
    assert info["operating_point"]["rule"] == "recall at least 0.5"
