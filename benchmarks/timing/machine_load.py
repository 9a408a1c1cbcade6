"""What else the machine was doing while times were taken, and whether these can be believed."""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_melanoma.benchmarks.timing.latency import REPEAT_TOLERANCE, LatencySamples
from edge_melanoma.machine.environment import cpu_name

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


def describe_machine(load: float, samples: Sequence[LatencySamples]) -> dict[str, Any]:
    """Processor, cores, load before and after, and whether the times can be believed."""
    reasons = list(_find_contamination(load, samples))
    others = [found.others_cores for found in samples if found.others_cores is not None]
    return {
        "cpu": cpu_name(),
        "cores": core_count(),
        "load": load,
        "load_after": os.getloadavg()[0],
        "others_cores": max(others) if others else None,
        "contaminated": bool(reasons),
        "contaminated_because": reasons,
        "repeatable": all(found.is_repeatable for found in samples) if samples else None,
        "repeat_difference": max((found.repeat_difference for found in samples), default=None),
    }


def describe_doubts(machine: Mapping[str, Any]) -> list[str]:
    """A sentence for each ground on which the times cannot be believed."""
    doubts = []
    if machine["contaminated"]:
        doubts.append(f"Contaminated: {'; '.join(machine['contaminated_because'])}.")
    if machine["repeatable"] is False:
        doubts.append(
            f"Not repeatable: the median CPU times of two passes differ by up to "
            f"{machine['repeat_difference']:.1%}, more than {REPEAT_TOLERANCE:.0%}; this machine "
            f"is too noisy."
        )
    return doubts


def _find_contamination(load: float, samples: Sequence[LatencySamples]) -> list[str]:
    reasons, cores = [], core_count()
    told = [found.others_cores for found in samples if found.others_cores is not None]
    if not told and load > cores:
        # The load alone may be this program's own, of a training just before.
        reasons.append(f"the load before was {load:.1f} on {cores} cores")
    if told and is_busy(max(told)):
        limit = f"more than {BUSY_SHARE:.0%}"
        reasons.append(f"other programs used {max(told):.1f} of {cores} cores meanwhile, {limit}")
    waits = [found.wait_ratio for found in samples if found.has_waited]
    if waits:
        reasons.append(f"wall time was up to {max(waits):.1f} times CPU time on one thread")
    return reasons


def _busy_seconds() -> float | None:
    try:
        first = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0]
    except OSError:
        return None
    ticks = [int(field) for field in first.split()[1 : 1 + GUEST_FIELDS]]
    idle = sum(ticks[field] for field in IDLE_FIELDS)
    return (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK")
