"""Costs follow from CPU time a picture; the steps are the product's own."""

from pathlib import Path

import pytest
from made import draw_pictures
from throughput import TRAINED, measure_rates, render_rates

from edge_melanoma.data.listing import read_lesions
from edge_melanoma.data.screening import screen_images


def test_a_million_is_a_million_times_one() -> None:
    rows = [
        {"step": "decode", "cpu_ms": 3.6, "bytes_kept": None},
        {"step": "keep", "cpu_ms": 36.0, "bytes_kept": 2000},
        *({"step": step, "cpu_ms": 72.0, "bytes_kept": None} for _, _, step in TRAINED),
    ]
    told = {
        "rows": rows,
        "images": 5,
        "dataset": "drawn",
        "file_bytes": 10_000,
        "environment": {"cpu": "a processor"},
    }
    lines = render_rates(told)
    assert "| decode | 278 | 1.00 |  |" in lines
    assert "| keep | 28 | 10.00 | 2.0 GB |" in lines
    assert any("18 at 160 pixels and 3 at 224 pixels" in line and "420" in line for line in lines)


@pytest.mark.slow
def test_every_step_is_measured(tmp_path: Path) -> None:
    draw_pictures(tmp_path / "pictures", *range(32))
    (tmp_path / "place").mkdir()
    records = screen_images(read_lesions(tmp_path / "pictures")).readable
    rates = {rate["step"]: rate["cpu_ms"] for rate in measure_rates(records, tmp_path / "place")}
    assert all(cpu_ms > 0 for cpu_ms in rates.values())
    low, full = (rates[step] for _, _, step in TRAINED[2:])
    assert full > 1.3 * low
