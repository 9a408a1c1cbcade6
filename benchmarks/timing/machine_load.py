"""What else the machine was doing while times were taken."""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

BUSY_SHARE = 0.2
"""Others on more than this share of the cores slow caches and memory down, even beside a free
core."""
IDLE_FIELDS = (3, 4)
"""idle and iowait in /proc/stat, after user, nice, system; all other fields are work or theft."""
GUEST_FIELDS = 8
"""From here on the fields are counted in user and nice already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Seconds by the clock, and seconds of work of all cores since the start of the machine."""

    wall: float
    busy: float | None


def read_moment() -> Moment:
    """Now; work is none where there is no /proc/stat."""
    return Moment(wall=time.perf_counter(), busy=_busy_seconds())


def cores_of_others(start: Moment, end: Moment, *, own_seconds: Iterable[float]) -> float | None:
    """How many cores were busy on average with work that is not `own_seconds` of CPU time."""
    if start.busy is None or end.busy is None or end.wall <= start.wall:
        return None
    others = end.busy - start.busy - sum(own_seconds)
    # The counters step by hundredths of a second, so that nothing can come out below nothing.
    return max(0.0, others / (end.wall - start.wall))


def is_busy(others: float | None) -> bool:
    """Whether that many cores in the hands of others bend the times."""
    return others is not None and others > BUSY_SHARE * core_count()


def core_count() -> int:
    """The machine's cores."""
    return os.cpu_count() or 1


def _busy_seconds() -> float | None:
    try:
        first = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0]
    except OSError:
        return None
    ticks = [int(field) for field in first.split()[1 : 1 + GUEST_FIELDS]]
    idle = sum(ticks[field] for field in IDLE_FIELDS)
    return (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK")
