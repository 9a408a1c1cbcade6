"""Flips of several runs added up, against numbers counted by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evidence import POOLED, pool_drops

from edge_melanoma.benchmarks.parity.paired_tests import score_upper_bound
from edge_melanoma.benchmarks.sections import rows_of
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import PredictionSet, predictions_to_csv
from edge_melanoma.machine.files import sha256_of, write_atomically, write_json
from edge_melanoma.runs.models import WEIGHTS

LABELS = (True, True, True, False, False)


def write_run(folder: Path, *, threshold: float, ids: str, **scores: tuple[float, ...]) -> Path:
    write_atomically(folder / WEIGHTS, b"weights")
    manifest: dict[str, Any] = {"variant": "partial", "operating_point": {"threshold": threshold}}
    manifest["files"] = {WEIGHTS: {"sha256": sha256_of(b"weights")}}
    write_json(folder / "manifest.json", manifest)
    for name, values in scores.items():
        predictions = PredictionSet(
            image_ids=tuple(ids), labels=np.array(LABELS), scores=np.array(values)
        )
        path = folder / "bench" / f"predictions_{name}.csv"
        write_atomically(path, predictions_to_csv(predictions))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Run a loses one melanoma and a false alarm; run b, at 0.2, gains one and has a new alarm."""
    first = write_run(
        tmp_path / "a",
        threshold=0.5,
        ids="pqrst",
        keras=(0.9, 0.9, 0.1, 0.6, 0.1),
        int8=(0.4, 0.9, 0.1, 0.4, 0.1),
        float16=(0.9, 0.9, 0.1, 0.6, 0.1),
    )
    second = write_run(
        tmp_path / "b",
        threshold=0.2,
        ids="pquvw",
        keras=(0.9, 0.1, 0.3, 0.1, 0.1),
        int8=(0.9, 0.3, 0.3, 0.1, 0.3),
    )
    return [first, second]


def test_flips_add_up_and_each_run_keeps_its_threshold(runs: list[Path]) -> None:
    (drop,) = pool_drops(runs)
    assert (drop.mode, drop.runs, drop.malignant, drop.different_malignant) == ("int8", 2, 6, 4)
    assert (drop.lost_malignant, drop.gained_malignant) == (1, 1)
    assert (drop.new_false_alarm, drop.cleared_false_alarm) == (1, 1)
    assert (drop.recall_drop, drop.mcnemar_p, drop.mcnemar_p_malignant) == (0, 1, 1)
    assert drop.recall_drop_upper95 == score_upper_bound(lost=1, gained=1, pairs=6)


def test_a_single_run_has_all_its_modes(runs: list[Path]) -> None:
    drops = pool_drops(runs[:1])
    assert [drop.mode for drop in drops] == ["float16", "int8"]
    assert [drop.recall_drop for drop in drops] == [0, pytest.approx(1 / 3)]


def test_the_table_has_a_line_a_mode(runs: list[Path]) -> None:
    assert rows_of(POOLED, pool_drops(runs)) == (
        ("int8", "2", "6 (4)", "60.00%", "1/1", "+0.0000", "0.4099", "1/1", "1.000", "1.000"),
    )


def test_a_run_that_was_not_benched_is_named(tmp_path: Path, runs: list[Path]) -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        pool_drops([*runs, tmp_path / "c"])
    assert str(caught.value) == (
        f"The run {tmp_path / 'c'} was not benched; do it with: edge-melanoma bench "
        f"{tmp_path / 'c'}"
    )
