"""What `evaluate --out` leaves for a paper."""

import csv
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from edge_melanoma.card.paper import FILES, describe_methods, write_paper
from edge_melanoma.evaluation.subject import evaluate_subject, open_model
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.runs.models import TrainedModel

SILENT = SilentReporter()


@pytest.fixture
def paper(exported_run: TrainedModel, tmp_path: Path) -> Path:
    subject = open_model(exported_run.exports_folder / "model_int8.tflite")
    evaluated = evaluate_subject(subject, data=None, external={}, reporter=SILENT)
    written = write_paper(tmp_path / "paper", evaluated, reporter=SILENT)
    assert {path.name for path in written} == set(FILES)
    return tmp_path / "paper"


def test_figures_have_the_resolution_of_a_journal(paper: Path) -> None:
    for name in ("roc", "reliability", "confusion"):
        with Image.open(paper / f"{name}.png") as picture:
            assert round(picture.info["dpi"][0]) == 300
        assert (paper / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_tables_have_a_row_a_picture_and_a_group(paper: Path) -> None:
    scores, groups = (
        list(csv.DictReader((paper / name).read_text(encoding="utf-8").splitlines()))
        for name in ("scores.csv", "subgroups.csv")
    )
    counts: Counter[str] = Counter()
    for row in groups:
        counts[row["attribute"]] += int(row["malignant"]) + int(row["benign"])
    assert counts
    assert set(counts.values()) == {len(scores)}
    assert {"recall", "recall_interval", "recall_holm_p"} <= set(groups[0])


def test_methods_state_model_pictures_and_intervals(paper: Path) -> None:
    text = (paper / "methods.md").read_text(encoding="utf-8")
    for said in ("model_int8.tflite", "sha256", "malignant", "the recall was", "DeLong", "Wilson"):
        assert said in text


def test_methods_of_one_class_say_what_is_undefined() -> None:
    text = describe_methods(
        {
            "model": {"file": "a.tflite", "mode": "int8", "sha256": "0" * 64},
            "dataset": {"name": "moles", "images": 4, "benign": 4, "malignant": 0},
            "threshold": 0.5,
            "threshold_source": "validation",
            "left_out": 3,
            "metrics": {"recall": None, "specificity": 0.75, "accuracy": 0.75, "auc": None},
            "intervals": {"specificity": (0.3, 0.95), "accuracy": (0.3, 0.95)},
        }
    )
    assert "undefined without malignant images" in text
    assert "3 images were left out" in text
    assert "recall was" not in text
    assert "DeLong" not in text
