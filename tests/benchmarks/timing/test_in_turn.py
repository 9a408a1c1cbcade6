"""Models in turn: who is asked when, for how long, and real times of the smallest models."""

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image
from tflite_files import mean_model

from edge_melanoma.benchmarks.settings import TimingSettings
from edge_melanoma.benchmarks.timing import in_turn
from edge_melanoma.benchmarks.timing.in_turn import TurnTimes, time_in_turn
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.runtime.interpreters import SessionSettings
from edge_melanoma.runtime.names import Runtime

MS = 1_000_000
SHORT = TimingSettings(runs=5, warmup=1)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "grey.png"
    Image.new("RGB", (300, 260), "grey").save(path)
    return path


def tflite(data: bytes, name: str = "a.tflite") -> SessionSettings:
    return SessionSettings(data=data, name=name, runtime=Runtime.LITERT)


def run(models: Mapping[str, Any], picture: Path, settings: TimingSettings) -> dict[str, TurnTimes]:
    return time_in_turn(models, [picture], settings=settings, threads=1, say=lambda text: None)


class ToldPool:
    """Answers in this process with times that are known, and notes what it was asked."""

    asked: ClassVar[list[tuple[int, str, Any]]] = []
    numbers = itertools.count()

    def __init__(self, milliseconds: float) -> None:
        self._number, self._milliseconds = next(self.numbers), milliseconds

    def __enter__(self) -> "ToldPool":
        return self

    def __exit__(self, *error: object) -> None:
        return

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "ToldPool":
        self.asked.append((self._number, function.__name__, arguments))
        return self

    def result(self) -> Any:
        _, name, arguments = self.asked[-1]
        time = round(self._milliseconds * MS)
        if name == "time_burst":
            return [(time, time)] * arguments[0]
        if name == "time_files":
            return [(MS, 2 * MS, time, time)] * len(arguments[0])
        return {"process_time": 0.0, "count_xnnpack_parts": 1}.get(name)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> type[ToldPool]:
    """Two models: the one takes 1 ms, the other 100 ms."""
    milliseconds = itertools.cycle([1.0, 100.0])
    monkeypatch.setattr(ToldPool, "asked", [])
    monkeypatch.setattr(ToldPool, "numbers", itertools.count())
    monkeypatch.setattr(in_turn, "ProcessPool", lambda workers: ToldPool(next(milliseconds)))
    return ToldPool


def bursts_of(told: type[ToldPool]) -> list[tuple[int, int]]:
    return [(number, given[0]) for number, name, given in told.asked if name == "time_burst"]


def test_models_have_their_bursts_in_turn(told: type[ToldPool], picture: Path) -> None:
    models = {"fast": tflite(b""), "slow": tflite(b"")}
    times = run(models, picture, TimingSettings(runs=50, warmup=3))
    one_pass = [(0, 10), (1, 10), (0, 10), (1, 10), (0, 5), (1, 5)]
    assert bursts_of(told) == one_pass + [(number + 2, runs) for number, runs in one_pass]
    assert times["slow"].samples.percentile_ms(50) == 100
    assert times["fast"].samples.first_pass == 25
    assert dict(times["fast"].end_to_end) | {"runs": 0} == {
        **{"p50": 4.0, "p90": 4.0, "p99": 4.0, "cpu_p50": 1.0},
        **{"decode_p50": 1.0, "resize_p50": 2.0, "invoke_p50": 1.0, "runs": 0},
    }


def test_seconds_lengthen_the_fast_and_shorten_the_slow(
    told: type[ToldPool], picture: Path
) -> None:
    models = {"fast": tflite(b""), "slow": tflite(b"")}
    settings = TimingSettings(runs=200, warmup=0, min_seconds=1, max_seconds=4)
    times = run(models, picture, settings)
    # Half of the least in each pass: 500 runs of 1 ms; half of the most: 20 of 100 ms.
    assert len(times["fast"].samples.wall_ns) == 2 * 500
    assert len(times["slow"].samples.wall_ns) == 2 * 20


def test_a_single_stream_is_one_of_1024_queries_and_60_seconds() -> None:
    assert TimingSettings(runs=1024, min_seconds=60).is_mlperf_like
    assert not TimingSettings(runs=1023, min_seconds=60).is_mlperf_like
    assert not TimingSettings(runs=1024, min_seconds=59).is_mlperf_like


def test_real_models_give_a_sample_for_each_run(picture: Path) -> None:
    data = mean_model(tensor="", signature="p_malignant")
    found = run({"one": tflite(data), "other": tflite(data)}, picture, SHORT)
    for times in found.values():
        samples = times.samples
        assert len(samples.wall_ns) == len(samples.cpu_ns) == 6
        assert min(samples.wall_ns) > 0
        assert min(samples.cpu_ns) > 0
        assert (samples.warmup, samples.threads, samples.first_pass) == (1, 1, 3)
        whole = times.end_to_end
        assert whole["runs"] == 10
        assert whole["p50"] > whole["decode_p50"] > 0
        assert times.predict_p50_ms is None
        assert times.xnnpack_parts in {0, 1}


def test_a_refused_model_is_one_sentence(picture: Path) -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        run({"a": tflite(b"no model")}, picture, SHORT)
    assert str(caught.value).startswith("The interpreter ai_edge_litert refuses a.tflite: ")


@pytest.mark.thorough
def test_the_trained_network_is_timed_as_a_graph_and_by_predict(
    trained_run: TrainedModel, picture: Path
) -> None:
    settings = TimingSettings(runs=4, warmup=1)
    times = run({"keras": trained_run.folder}, picture, settings)["keras"]
    assert len(times.samples.wall_ns) == 4
    assert np.median(times.samples.cpu_ns) > 0
    assert times.xnnpack_parts is None
    assert times.predict_p50_ms is not None
    # `predict` does all that the graph does, and more.
    assert times.predict_p50_ms > times.samples.as_dict()["min"]
