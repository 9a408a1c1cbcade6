"""A training says what it was to reach and did not."""

from pathlib import Path
from typing import Any

import pytest

from edge_melanoma.evaluation.tables import describe_missed_aims
from edge_melanoma.runs.models import TrainedModel

POINT = {"min_recall": 0.95, "malignant": 45}
RISING = "stage,val_loss\nhead,0.9\nall,0.4\nall,0.3\nall,0.5\n"


def told(
    folder: Path, *, recall: float, point: dict[str, Any] = POINT, history: str = ""
) -> list[str]:
    (folder / "history.csv").write_text(history)
    run = TrainedModel(
        folder=folder, variant="frozen", manifest={"operating_point": point}, sha256=""
    )
    measured = {"metrics": {"recall": recall}, "intervals": {"recall": [0.63, 0.84]}}
    inside = {"Vienna": {"recall": 0.8}, "Bern": {"recall": 0.9}}
    test = {"at_operating_point": measured, "within_source": inside}
    return describe_missed_aims(run, {"sides": {"test": test}})


def test_a_recall_that_did_not_hold_is_said_with_its_interval(tmp_path: Path) -> None:
    assert told(tmp_path, recall=0.75) == [
        "Test recall 0.750 (0.630 to 0.840): the 0.95 chosen on 45 validation melanomas did not "
        "hold."
    ]
    assert told(tmp_path, recall=0.95) == []


def test_a_clinic_below_its_bound_is_named(tmp_path: Path) -> None:
    point: dict[str, Any] = {
        "min_recall": None,
        "min_recall_bound": 0.85,
        "malignant": 90,
        "within": {"Vienna": {}, "Bern": {}},
    }
    assert told(tmp_path, recall=0.5, point=point) == [
        "Test recall of Vienna 0.800: the lower bound of 0.85 chosen on its validation melanomas "
        "did not hold."
    ]


@pytest.mark.parametrize("history", ["stage,val_loss\nhead,0.2\nall,0.5\nall,0.4\n", ""])
def test_a_loss_that_falls_is_no_news(tmp_path: Path, history: str) -> None:
    assert told(tmp_path, recall=1.0, history=history) == []


def test_a_loss_that_rose_is_told_with_its_best_epoch(tmp_path: Path) -> None:
    assert told(tmp_path, recall=1.0, history=RISING) == [
        "Validation loss rose from 0.400 to 0.500 in the 3 epochs of the last stage; it was least "
        "after epoch 2."
    ]
