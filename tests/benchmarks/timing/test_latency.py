"""Times of single invocations: percentiles, intervals and verdicts of known samples."""

from dataclasses import replace

import numpy as np
import pytest

from edge_melanoma.benchmarks.timing.latency import LatencySamples, median_interval_ms

MS = 1_000_000


def samples_of(
    wall: tuple[float, ...], cpu: tuple[float, ...] | None = None, threads: int = 1
) -> LatencySamples:
    """Samples in milliseconds."""
    return LatencySamples(
        wall_ns=tuple(round(ms * MS) for ms in wall),
        cpu_ns=tuple(round(ms * MS) for ms in cpu or wall),
        warmup=0,
        threads=threads,
    )


@pytest.mark.parametrize(
    ("wall", "cpu"), [((), ()), ((1_000_000,), (1_000_000,)), ((1, 2, 3), (1, 2))]
)
def test_fewer_than_two_whole_samples_are_refused(
    wall: tuple[int, ...], cpu: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="at least 2 samples") as caught:
        LatencySamples(wall_ns=wall, cpu_ns=cpu, warmup=0, threads=1)
    assert str(caught.value) == ("Latency needs at least 2 samples, each with wall and CPU time.")


@pytest.mark.parametrize("first_pass", [0, 3])
def test_a_pass_without_a_sample_is_refused(first_pass: int) -> None:
    with pytest.raises(ValueError, match=r"^Each of the two passes needs a sample\.$"):
        replace(samples_of((1, 2, 3)), first_pass=first_pass)


def test_percentiles_lie_between_neighbours_in_proportion() -> None:
    # 1, 2, ... 11 ms in any order: the percentile p lies at 1 + p / 10.
    samples = samples_of((11, 1, 10, 2, 9, 3, 8, 4, 7, 5, 6))
    assert samples.percentile_ms(0) == 1.0
    assert samples.percentile_ms(50) == 6.0
    assert samples.percentile_ms(90) == 10.0
    # Interpolation and division by a million round some four times, each by 2^-53 of the value.
    assert samples.percentile_ms(99) == pytest.approx(10.9, rel=4 * 2**-53)
    told = samples.as_dict()
    assert (told["min"], told["mean"], told["cpu_min"]) == (1.0, 6.0, 1.0)


def test_cpu_time_is_told_apart_from_wall_time() -> None:
    samples = replace(samples_of((4, 6), (1, 2), threads=2), warmup=7)
    assert samples.cpu_p50_ms == 1.5
    told = samples.as_dict()
    assert set(told) >= {"p50", "p90", "p99", "cpu_p50", "runs", "warmup", "threads"}
    assert (told["p50"], told["cpu_p50"]) == (5.0, 1.5)
    assert (told["runs"], told["warmup"], told["threads"]) == (2, 7, 2)


@pytest.mark.parametrize(
    ("count", "ranks"),
    [
        # P(X = 0) of 5 fair coins is 1/32 > .025; of 6 it is 1/64.
        (5, None),
        (6, (1, 6)),
        # Printed in tables of the sign test: the 2nd of 10, the 40th and the 61st of 100.
        (10, (2, 9)),
        (100, (40, 61)),
    ],
)
def test_the_interval_of_the_median_has_the_ranks_of_the_sign_test(
    count: int, ranks: tuple[int, int] | None
) -> None:
    shuffled = np.random.default_rng(0).permutation(np.arange(1, count + 1)) * MS
    expected = None if ranks is None else [float(rank) for rank in ranks]
    assert median_interval_ms(shuffled) == expected


def test_the_interval_holds_the_median_in_95_of_100_draws() -> None:
    random = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        interval = median_interval_ms(np.exp(random.normal(size=51)) * MS)
        assert interval is not None
        held += interval[0] <= 1 <= interval[1]
    # The exact level for 51 samples is .965; 400 draws have a standard deviation of .0092.
    assert held / 400 == pytest.approx(0.965, abs=4 * 0.0092)


def test_passes_within_5_percent_are_repeatable_and_others_not() -> None:
    same = samples_of((9,) * 6, (4.0, 4.0, 4.0, 4.19, 4.19, 4.19))
    assert same.cpu_p50_of_passes_ms == (4.0, 4.19)
    assert same.repeat_difference == pytest.approx(0.0475)
    assert same.is_repeatable
    other = samples_of((9,) * 6, (4.0, 4.0, 4.0, 3.8, 3.8, 3.8))
    assert other.repeat_difference == pytest.approx(4.0 / 3.8 - 1)
    assert not other.is_repeatable
    assert other.as_dict()["repeatable"] is False
    # Cut after the fifth, 4 stands against 3.8 still; after the second, against the median of four.
    assert replace(other, first_pass=5).cpu_p50_of_passes_ms == (4.0, 3.8)
    assert replace(same, first_pass=2).cpu_p50_of_passes_ms == (4.0, 4.19)


def test_wall_time_above_cpu_time_contaminates_one_thread_alone() -> None:
    assert not samples_of((1.2, 1.2), (1.0, 1.0)).is_contaminated
    assert samples_of((1.21, 1.21), (1.0, 1.0)).is_contaminated
    # Two threads that wait for each other look the same.
    assert not samples_of((1.21, 1.21), (1.0, 1.0), threads=2).is_contaminated


def test_a_busy_machine_contaminates_whatever_the_threads() -> None:
    quiet = samples_of((1, 1), threads=2)
    assert not quiet.is_contaminated
    assert replace(quiet, others_cores=99.0).as_dict()["contaminated"] is True
