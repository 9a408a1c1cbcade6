"""The table of clients: what ran the models of a bundle, and by how much it differs."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from readme import (
    MODEL_INFO,
    collect_rows,
    main,
    render_clients,
)

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.schemas import read_json

ROOT = Path(__file__).parents[3]
ROW = {
    "client": "A client",
    "version": "1.0",
    "input": "int8",
    "pictures": 200,
    "equal": 200,
    "largest_difference_steps": 0,
    "decision_flips": 0,
    "note": "phantoms",
}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    info = folder / MODEL_INFO
    info.parent.mkdir(parents=True)
    info.write_text(json.dumps({"models": [{"file": "m.tflite", "sha256": "ab" * 32}]}))
    (folder / "README.md").write_text("# B\n<!-- clients: begin -->\n<!-- clients: end -->\nEnd\n")
    return folder


def write_rows(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "rows.json"
    path.write_text(json.dumps(rows))
    return path


def test_readme_and_json_tell_the_same(
    bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = {**ROW, "client": "Another", "equal": 73, "largest_difference_steps": 29}
    rows = write_rows(tmp_path, ROW, other)
    monkeypatch.setattr(sys, "argv", ["readme", "clients", str(rows), "--bundle", str(bundle)])
    main()
    readme = (bundle / "README.md").read_text()
    assert "| A client | 1.0 | int8 | 200 | all equal | 0 | phantoms |" in readme
    assert "127 differ, by at most 29 steps" in readme
    assert "m.tflite `abababababab`" in readme
    assert readme.endswith("End\n")
    told = read_json(bundle / "clients.json")
    assert told["rows"] == [ROW, other]
    assert "\n".join(render_clients(told)) in readme
    assert capsys.readouterr().out.startswith("| client |")


def test_something_else_than_rows_is_refused(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgeMelanomaError, match=r"rows\.json holds no rows"):
        collect_rows([write_rows(tmp_path, {"client": "A"})], bundle=bundle)


def test_the_table_that_ships_is_of_the_models_that_ship() -> None:
    assets = ROOT / "android_assets"
    told = read_json(assets / "clients.json")
    models = read_json(assets / MODEL_INFO)["models"]
    assert told["models"] == {model["file"]: model["sha256"] for model in models}
    assert "\n".join(render_clients(told)) in (assets / "README.md").read_text(encoding="utf-8")
    assert all(row["equal"] == row["pictures"] for row in told["rows"] if "XNN" in row["note"])
