"""The first picture of a fresh process: steps, memory, and whose memory it is."""

import numpy as np
import pytest
from tflite_files import mean_model

from edge_melanoma.benchmarks.timing import cold_start
from edge_melanoma.benchmarks.timing.cold_start import ColdStart, measure_cold_start, peak_rss_mb
from edge_melanoma.benchmarks.timing.models import TFLiteFile
from edge_melanoma.runtime.interpreters import SessionSettings
from edge_melanoma.runtime.names import Runtime

GREY = np.full((224, 224, 3), 128, np.uint8)
MODEL = TFLiteFile(
    settings=SessionSettings(
        data=mean_model(tensor="", signature="p_malignant"),
        name="a.tflite",
        runtime=Runtime.LITERT,
    )
)


def start_of(load_ms: float) -> ColdStart:
    return ColdStart(
        import_ms=90,
        load_ms=load_ms,
        allocate_ms=None,
        first_invoke_ms=2,
        peak_rss_mb=60,
        rss_before_mb=50,
    )


def test_every_step_of_a_real_start_takes_time_and_memory() -> None:
    start = measure_cold_start(MODEL, GREY, threads=1, starts=1)
    assert start.load_ms > 0
    assert start.allocate_ms is not None
    assert start.first_invoke_ms > 0
    told = start.as_dict()
    assert told["total_ms"] == start.load_ms + start.allocate_ms + start.first_invoke_ms
    # A Python with numpy and LiteRT takes some 50 MB; the model is one of 1 kB.
    assert 20 < start.rss_before_mb <= start.peak_rss_mb < 200


def test_a_parents_memory_is_not_the_childs() -> None:
    ballast = np.ones(400_000_000, np.uint8)
    assert peak_rss_mb() > len(ballast) / 1e6
    start = measure_cold_start(MODEL, GREY, threads=1, starts=1)
    assert start.peak_rss_mb < 200


def test_the_start_with_the_median_total_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    totals = iter([9.0, 3.0, 5.0, 4.0])
    monkeypatch.setattr(
        cold_start, "run_in_child", lambda function, *arguments: start_of(next(totals))
    )
    assert measure_cold_start(MODEL, GREY, threads=1, starts=3).load_ms == 5
