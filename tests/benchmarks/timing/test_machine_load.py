"""How busy others keep the machine: known counters, and a busy child that is not counted twice."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_melanoma.benchmarks.timing import latency
from edge_melanoma.benchmarks.timing.latency import (
    LatencySamples,
    Moment,
    cores_of_others,
    describe_doubts,
    describe_machine,
    is_busy,
    read_moment,
)

needs_proc_stat = pytest.mark.skipif(
    not Path("/proc/stat").exists(), reason="only Linux counts the work of all processes"
)


def test_work_that_is_not_ones_own_is_of_others() -> None:
    start, end = Moment(wall=100, busy=50), Moment(wall=110, busy=65)
    assert cores_of_others(start, end, own_seconds=[4, 6]) == 0.5
    assert cores_of_others(start, end, own_seconds=[]) == 1.5
    # Own time is exact, the system's comes in hundredths.
    assert cores_of_others(start, end, own_seconds=[15.01]) == 0.0


def test_without_counters_nothing_is_said() -> None:
    nothing = cores_of_others(Moment(wall=0, busy=None), Moment(wall=1, busy=None), own_seconds=[])
    assert nothing is None
    assert not is_busy(None)


@pytest.mark.parametrize(("others", "busy"), [(0.8, False), (0.81, True)])
def test_more_than_a_fifth_of_the_cores_is_busy(
    others: float, busy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "core_count", lambda: 4)
    assert is_busy(others) is busy


@needs_proc_stat
def test_own_work_is_counted_by_the_system() -> None:
    start, own = read_moment(), time.process_time()
    while time.process_time() - own < 0.3:
        pass
    end = read_moment()
    assert start.busy is not None
    assert end.busy is not None
    # The counters step by hundredths of a second on each core.
    assert end.busy - start.busy >= 0.3 - 0.05


QUIET = LatencySamples(wall_ns=(10,) * 4, cpu_ns=(10,) * 4, warmup=0, threads=1, others_cores=0.0)


def machine_of(samples: LatencySamples, *, load: float = 0.0) -> dict[str, Any]:
    return describe_machine(load, [samples])


def test_a_quiet_machine_is_believed_whatever_its_load_was_of_this_program() -> None:
    machine = machine_of(QUIET, load=99.0)
    assert (machine["contaminated"], machine["contaminated_because"]) == (False, [])
    assert machine["repeatable"] is True
    assert machine["others_cores"] == 0.0


def test_each_ground_for_contamination_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "core_count", lambda: 2)
    waited = replace(QUIET, wall_ns=(15,) * 4)
    assert machine_of(waited)["contaminated_because"] == [
        "wall time was up to 1.5 times CPU time on one thread"
    ]
    busy = replace(QUIET, others_cores=99.0)
    assert machine_of(busy)["contaminated_because"] == [
        "other programs used 99.0 of 2 cores meanwhile, more than 20%"
    ]
    # Where the system does not tell of others, the load has to do.
    untold = machine_of(replace(QUIET, others_cores=None), load=2.5)
    assert untold["contaminated_because"] == ["the load before was 2.5 on 2 cores"]
    assert untold["others_cores"] is None


def test_passes_that_differ_make_the_machine_too_noisy() -> None:
    machine = machine_of(replace(QUIET, cpu_ns=(10, 10, 11, 11)))
    assert machine["repeatable"] is False
    assert machine["repeat_difference"] == pytest.approx(0.1)
    assert describe_doubts(machine) == [
        "Not repeatable: the median CPU times of two passes differ by up to 10.0%, more than 5%; "
        "this machine is too noisy."
    ]
    waited = machine_of(replace(QUIET, wall_ns=(15,) * 4))
    assert describe_doubts(waited) == [
        "Contaminated: wall time was up to 1.5 times CPU time on one thread."
    ]
    assert describe_doubts(machine_of(QUIET)) == []


def test_without_times_nothing_is_said_of_repetition() -> None:
    assert describe_machine(0.0, [])["repeatable"] is None
