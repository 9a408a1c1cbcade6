"""The table of hazards."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from readme import collect_hazards, main, render_hazards

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.schemas import read_json

ROOT = Path(__file__).parents[3]
ROW = {"hazard": "a flood", "tried": 20, "survived": 19, "lost": 1, "note": "in the cellar"}


def write_rows(path: Path, rows: Any) -> Path:
    path.write_text(json.dumps(rows))
    return path


def test_readme_and_json_hold_the_rows_of_all_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [
        write_rows(tmp_path / "one.json", [ROW]),
        write_rows(tmp_path / "two.json", [{**ROW, "hazard": "a fire", "note": "a|b"}]),
    ]
    readme = write_rows(tmp_path / "README.md", None)
    readme.write_text("<!-- hazards: begin -->\n<!-- hazards: end -->\nEnd\n")
    kept = tmp_path / "hazards.json"
    arguments = [
        "readme",
        "hazards",
        *map(str, files),
        "--keep",
        str(kept),
        "--readme",
        str(readme),
    ]
    monkeypatch.setattr(sys, "argv", arguments)
    main()
    text = readme.read_text()
    assert "| a flood | 20 | 19 | 1 | in the cellar |" in text
    assert "| a fire | 20 | 19 | 1 | a\\|b |" in text
    assert [row["hazard"] for row in read_json(kept)["rows"]] == ["a flood", "a fire"]


def test_rows_that_are_added_take_the_place_of_the_same_hazard(tmp_path: Path) -> None:
    before = {**ROW, "date": "2020-01-01", "machine": "Another"}
    fire = {**before, "hazard": "a fire"}
    kept = {"schema": 1, "rows": [before, fire]}
    rows = write_rows(tmp_path / "rows.json", [{**ROW, "tried": 30, "survived": 29}])
    told = collect_hazards([rows], kept=kept)
    assert [(row["hazard"], row["tried"]) for row in told["rows"]] == [
        ("a flood", 30),
        ("a fire", 20),
    ]
    (fresh, stayed) = told["rows"]
    assert stayed == fire
    assert render_hazards(told)[-1] == (
        f"Made by `make hazards`; rows: 1 on {fresh['machine']}, {fresh['date']}; "
        "1 on Another, 2020-01-01."
    )


def test_rows_of_one_hazard_in_several_files_are_one_row(tmp_path: Path) -> None:
    files = [
        write_rows(tmp_path / "one.json", [ROW]),
        write_rows(tmp_path / "two.json", [{**ROW, "tried": 5, "survived": 3, "lost": 2}]),
        write_rows(tmp_path / "three.json", [{**ROW, "note": "on the roof"}]),
    ]
    (row,) = collect_hazards(files)["rows"]
    assert (row["tried"], row["survived"], row["lost"]) == (45, 41, 4)
    assert row["note"] == "in the cellar; in the cellar; on the roof"


def test_adding_needs_a_file_to_add_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = write_rows(tmp_path / "rows.json", [ROW])
    monkeypatch.setattr(sys, "argv", ["readme", "hazards", str(rows), "--add"])
    with pytest.raises(EdgeMelanomaError, match="--add needs --keep FILE; give both"):
        main()


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ({"hazard": "x"}, "holds no rows of hazards"),
        ([{"hazard": "x"}], "holds no rows of hazards"),
        ([{**ROW, "lost": 0}], "'a flood' does not add up"),
    ],
)
def test_what_are_no_rows_is_refused(tmp_path: Path, rows: Any, complaint: str) -> None:
    with pytest.raises(EdgeMelanomaError, match=complaint):
        collect_hazards([write_rows(tmp_path / "rows.json", rows)])


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgeMelanomaError, match=r"none\.json is not readable; run make hazards"):
        collect_hazards([tmp_path / "none.json"])


def test_the_readme_shows_what_is_kept() -> None:
    told = read_json(ROOT / "benchmarks/results/hazards.json")
    assert "\n".join(render_hazards(told)) in (ROOT / "docs" / "hazards.md").read_text(
        encoding="utf-8"
    )
