"""Leaving one clinic out, on phantoms of two clinics and a recipe of one short epoch."""

import csv
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import clinics
import pytest

from edge_melanoma.data.listing import read_lesions
from edge_melanoma.machine.schemas import read_json
from edge_melanoma.network.recipes import EVERY_CLINIC

TINY = replace(
    clinics.SHORT,
    stages=(replace(clinics.STAGE, image_size=32, epochs=1, warmup_steps=1),),
    sampling=replace(EVERY_CLINIC, views=32),
    batch_size=8,
)


@pytest.fixture
def two_clinics(phantoms: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "two"
    shutil.copytree(phantoms, folder)
    with (folder / "labels.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("file", "label", "clinic"))
        for number, record in enumerate(read_lesions(phantoms)):
            label = "malignant" if record.is_malignant else "benign"
            writer.writerow((record.image_id, label, "north" if number % 2 else "south"))
    return folder


@pytest.mark.thorough
def test_each_clinic_is_judged_by_a_network_that_has_not_seen_it(
    two_clinics: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(clinics, "RECIPES", MappingProxyType({"tiny": TINY}))
    arguments = ["clinics.py", "--data", str(two_clinics), "--weights", "none"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--out", str(tmp_path / "out")])
    clinics.main()
    rows = read_json(tmp_path / "out" / "clinics.json")["rows"]
    assert [row["left_out"] for row in rows.values()] == ["north", "south", clinics.ALL]
    of_source = sum(number % 2 for number in range(len(read_lesions(two_clinics))))
    assert rows["tiny without north"]["images"] == of_source
    assert list(rows["tiny without north"]["auc"]) == ["north"]
    assert list(rows[f"tiny without {clinics.ALL}"]["auc"]) == ["north", "south"]
    head, _, row, *_ = capsys.readouterr().out.splitlines()
    assert "| north left out | south left out | mean | validation |" in head
    assert row.startswith("| tiny | ")


def test_a_recipe_without_all_its_rows_has_no_mean() -> None:
    rows = {
        "a": {"recipe": "r", "left_out": "north", "auc": {"north": 0.8}, "cpu_seconds": 60.0},
        "b": {"recipe": "r", "left_out": "south", "auc": {"south": 0.6}, "cpu_seconds": 60.0},
        "c": {"recipe": "s", "left_out": "north", "auc": {"north": 0.9}, "cpu_seconds": 30.0},
    }
    table = clinics.render_clinics(rows, command="x")
    assert table[2:4] == ["| r | 0.800 | 0.600 | 0.700 |  | 2.0 |", "| s | 0.900 |  |  |  | 0.5 |"]
