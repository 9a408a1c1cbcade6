"""How busy others keep the machine: known counters, and a busy child that is not counted twice."""

import time
from pathlib import Path

import pytest

from edge_melanoma.benchmarks.timing import machine_load
from edge_melanoma.benchmarks.timing.machine_load import (
    Moment,
    cores_of_others,
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
    monkeypatch.setattr(machine_load, "core_count", lambda: 4)
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
