"""Which files no other one beats, by hand-made candidates."""

from dataclasses import replace
from pathlib import Path

import pytest
from pareto import (
    Candidate,
    draw_pareto,
    pareto_front,
    read_candidates,
)
from PIL import Image

BASE = Candidate(
    variant="partial",
    mode="int8",
    recall=0.95,
    recall_interval=(0.93, 0.97),
    auc=0.97,
    size_bytes=2_600_000,
    cpu_ms=2.0,
)


@pytest.mark.parametrize(
    "better", [{"recall": 0.96}, {"auc": 0.98}, {"size_bytes": 2_500_000}, {"cpu_ms": 1.9}], ids=str
)
def test_one_advantage_is_enough_where_nothing_is_worse(better: dict[str, float]) -> None:
    other = replace(BASE, mode="other", **better)  # type: ignore[arg-type]  # one of several types
    assert other.dominates(BASE)
    assert not BASE.dominates(other)
    assert pareto_front([BASE, other]) == [other]


def test_an_advantage_that_costs_elsewhere_leaves_both_on_the_front() -> None:
    slower = replace(BASE, mode="float32", recall=0.96, cpu_ms=4.0)
    assert pareto_front([BASE, slower]) == [slower, BASE]


def test_equals_stay_both() -> None:
    twin = replace(BASE, variant="frozen")
    assert pareto_front([BASE, twin]) == [BASE, twin]


def test_candidates_are_those_of_the_report_whose_time_is_known() -> None:
    model = {
        "mode": "int8",
        "metrics": {"recall": 0.95, "auc": 0.97},
        "intervals": {"recall": [0.93, 0.97]},
        "size_bytes": 2_600_000,
        "latency_ms": {"cpu_p50": 2.0},
    }
    report = {"candidates": [model, {**model, "mode": "int16x8", "latency_ms": None}]}
    assert read_candidates("partial", report) == [BASE]


def test_the_picture_is_written(tmp_path: Path) -> None:
    slower = replace(BASE, mode="float32", recall=0.96, cpu_ms=4.0)
    path = draw_pareto([BASE, slower], tmp_path / "pareto.png", title="a $5 set")
    with Image.open(path) as picture:
        assert picture.width > 1000
        assert len(picture.convert("RGB").getcolors(maxcolors=1 << 24) or []) > 10
