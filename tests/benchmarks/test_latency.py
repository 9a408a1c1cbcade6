"""Times of single invocations: percentiles of known samples, and real ones of the int8 file."""

import json

import numpy as np
import pytest

from edge_melanoma.artifacts import TrainedModel
from edge_melanoma.benchmarks.latency import LatencySamples, time_keras, time_tflite
from edge_melanoma.interpreters import SessionSettings
from edge_melanoma.runtimes import Runtime

GREY = np.full((224, 224, 3), 128, np.uint8)


@pytest.mark.parametrize(
    ("wall", "cpu"), [((), ()), ((1_000_000,), (1_000_000,)), ((1, 2, 3), (1, 2))]
)
def test_fewer_than_two_whole_samples_are_refused(
    wall: tuple[int, ...], cpu: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="at least 2 samples") as caught:
        LatencySamples(wall_ns=wall, cpu_ns=cpu, warmup=0, threads=1)
    assert str(caught.value) == ("Latency needs at least 2 samples, each with wall and CPU time.")


def test_percentiles_lie_between_neighbours_in_proportion() -> None:
    # 1, 2, ... 11 ms in any order: the percentile p lies at 1 + p / 10.
    wall = tuple(1_000_000 * ms for ms in (11, 1, 10, 2, 9, 3, 8, 4, 7, 5, 6))
    samples = LatencySamples(wall_ns=wall, cpu_ns=wall, warmup=0, threads=1)
    assert samples.percentile_ms(0) == 1.0
    assert samples.percentile_ms(50) == 6.0
    assert samples.percentile_ms(90) == 10.0
    # Interpolation and division by a million round some four times, each by 2^-53 of the value.
    assert samples.percentile_ms(99) == pytest.approx(10.9, rel=4 * 2**-53)


def test_cpu_time_is_told_apart_from_wall_time() -> None:
    samples = LatencySamples(
        wall_ns=(4_000_000, 6_000_000), cpu_ns=(1_000_000, 2_000_000), warmup=7, threads=2
    )
    assert samples.cpu_p50_ms == 1.5
    told = samples.as_dict()
    assert list(told) == ["p50", "p90", "p99", "cpu_p50", "runs", "warmup", "threads"]
    assert (told["p50"], told["cpu_p50"]) == (5.0, 1.5)
    assert (told["runs"], told["warmup"], told["threads"]) == (2, 7, 2)


def check_samples(samples: LatencySamples, *, runs: int) -> None:
    assert len(samples.wall_ns) == len(samples.cpu_ns) == runs
    assert min(samples.wall_ns) > 0
    assert min(samples.cpu_ns) > 0
    assert (samples.warmup, samples.threads) == (2, 1)
    assert json.loads(json.dumps(samples.as_dict()))["runs"] == runs


def test_the_int8_file_gives_a_sample_for_each_run(exported_run: TrainedModel) -> None:
    path = exported_run.exports_folder / "model_int8.tflite"
    settings = SessionSettings(data=path.read_bytes(), name=path.name, runtime=Runtime.LITERT)
    check_samples(time_tflite(settings, GREY, runs=5, warmup=2), runs=5)


def test_the_trained_network_gives_a_sample_for_each_run(trained_run: TrainedModel) -> None:
    samples = time_keras(trained_run.folder, GREY, runs=3, warmup=2, threads=1)
    check_samples(samples, runs=3)
