"""The first picture of a fresh process: steps, memory, and whose memory it is."""

import numpy as np
import pytest
from tflite_files import mean_model

from edge_melanoma.benchmarks.timing import cold_start
from edge_melanoma.benchmarks.timing.cold_start import measure_cold_start, peak_rss_mb
from edge_melanoma.runtime.interpreters import SessionSettings
from edge_melanoma.runtime.names import Runtime

GREY = np.full((224, 224, 3), 128, np.uint8)
MODEL = SessionSettings(
    data=mean_model(tensor="", signature="p_malignant"), name="a.tflite", runtime=Runtime.LITERT
)


def test_every_step_of_a_real_start_takes_time_and_memory() -> None:
    start = measure_cold_start(MODEL, GREY, threads=1, starts=1)
    steps = [start[name] for name in ("load_ms", "allocate_ms", "first_invoke_ms")]
    assert min(steps) > 0
    assert start["total_ms"] == sum(steps)
    # A Python with numpy and LiteRT takes some 50 MB; the model is one of 1 kB.
    assert 20 < start["rss_before_mb"] <= start["peak_rss_mb"] < 200


def test_a_parents_memory_is_not_the_childs() -> None:
    ballast = np.ones(400_000_000, np.uint8)
    assert peak_rss_mb() > len(ballast) / 1e6
    start = measure_cold_start(MODEL, GREY, threads=1, starts=1)
    assert start["peak_rss_mb"] < 200


def test_the_start_with_the_median_total_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    totals = iter([9.0, 3.0, 5.0, 4.0])
    monkeypatch.setattr(
        cold_start, "run_in_child", lambda function, *arguments: {"total_ms": next(totals)}
    )
    assert measure_cold_start(MODEL, GREY, threads=1, starts=3) == {"total_ms": 5.0}
