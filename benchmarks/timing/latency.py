"""How long one picture takes, and whether its times can be believed: what else the machine did."""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.machine.environment import cpu_name

NANOSECONDS_A_MILLISECOND = 1e6
PERCENTILES = (50, 90, 99)
INTERVAL_LEVEL = 0.95
CONTAMINATED_RATIO = 1.2
"""On one thread, wall time this far above CPU time means that others had the core."""
REPEAT_TOLERANCE = 0.05
"""By how much the median CPU times of two passes may differ on a machine that is quiet enough."""
BUSY_SHARE = 0.2
"""Others on more than this share of the cores slow caches and memory down, even beside a free
core."""
IDLE_FIELDS = (3, 4)
"""idle and iowait in /proc/stat, after user, nice, system; all other fields are work or theft."""
GUEST_FIELDS = 8
"""From here on the fields are counted in user and nice already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySamples:
    """Raw nanoseconds of every timed invocation, by wall clock and by CPU time of all threads.

    The first `first_pass` samples were taken in other processes than the rest; without such a
    number the two halves stand for the passes. `others_cores` is how many cores other programs
    used meanwhile, none where the system does not tell.

    Raises:
        ValueError: fewer than 2 samples, or a pass without any.
    """

    wall_ns: tuple[int, ...]
    cpu_ns: tuple[int, ...]
    warmup: int
    threads: int
    first_pass: int | None = None
    others_cores: float | None = None

    def __post_init__(self) -> None:
        if len(self.wall_ns) < 2 or len(self.wall_ns) != len(self.cpu_ns):
            raise ValueError("Latency needs at least 2 samples, each with wall and CPU time.")
        if self.first_pass is not None and not 0 < self.first_pass < len(self.wall_ns):
            raise ValueError("Each of the two passes needs a sample.")

    def percentile_ms(self, share: float) -> float:
        """A percentile of the wall times, in milliseconds."""
        return float(np.percentile(self.wall_ns, share)) / NANOSECONDS_A_MILLISECOND

    @property
    def cpu_p50_ms(self) -> float:
        """The median CPU time, in milliseconds: what a noisy machine changes least."""
        return float(np.percentile(self.cpu_ns, 50)) / NANOSECONDS_A_MILLISECOND

    @property
    def cpu_p50_of_passes_ms(self) -> tuple[float, float]:
        """The median CPU time of each pass, in milliseconds."""
        cut = self.first_pass or len(self.cpu_ns) // 2
        first, second = (float(np.median(part)) for part in (self.cpu_ns[:cut], self.cpu_ns[cut:]))
        return first / NANOSECONDS_A_MILLISECOND, second / NANOSECONDS_A_MILLISECOND

    @property
    def repeat_difference(self) -> float:
        """By which share of the smaller the two passes' median CPU times differ."""
        low, high = sorted(self.cpu_p50_of_passes_ms)
        return high / low - 1 if low > 0 else float(high > 0)

    @property
    def is_repeatable(self) -> bool:
        """Whether the second pass found the CPU time of the first."""
        return self.repeat_difference <= REPEAT_TOLERANCE

    @property
    def wait_ratio(self) -> float:
        """Wall time by CPU time, of their medians: above 1 on one thread, others had the core."""
        return self.percentile_ms(50) / self.cpu_p50_ms if self.cpu_p50_ms > 0 else 0.0

    @property
    def has_waited(self) -> bool:
        """With several threads the ratio says nothing: threads wait for each other."""
        return self.threads == 1 and self.wait_ratio > CONTAMINATED_RATIO

    @property
    def is_contaminated(self) -> bool:
        """Whether others had the processor: wall and CPU time part, or the machine was busy."""
        return is_busy(self.others_cores) or self.has_waited

    def as_dict(self) -> dict[str, Any]:
        """For parity.json; times in milliseconds."""
        wall, cpu = np.array(self.wall_ns), np.array(self.cpu_ns)
        return {
            **{f"p{share}": self.percentile_ms(share) for share in PERCENTILES},
            "min": float(wall.min()) / NANOSECONDS_A_MILLISECOND,
            "mean": float(wall.mean()) / NANOSECONDS_A_MILLISECOND,
            "p50_interval": median_interval_ms(wall),
            "cpu_p50": self.cpu_p50_ms,
            "cpu_p50_interval": median_interval_ms(cpu),
            "cpu_min": float(cpu.min()) / NANOSECONDS_A_MILLISECOND,
            "cpu_p50_of_passes": list(self.cpu_p50_of_passes_ms),
            "repeat_difference": self.repeat_difference,
            "repeatable": self.is_repeatable,
            "contaminated": self.is_contaminated,
            "others_cores": self.others_cores,
            "timed_seconds": float(wall.sum()) / 1e9,
            "runs": len(self.wall_ns),
            "warmup": self.warmup,
            "threads": self.threads,
        }


def median_interval_ms(nanoseconds: NDArray[np.int64]) -> list[float] | None:
    """The 95 % interval of the median by order statistics; none for fewer than 6 samples.

    Free of any shape of distribution: the ranks are those of a fair coin thrown n times. It
    takes the samples as independent; what drifts slowly is seen between the passes instead.
    """
    from scipy.stats import quantile_test

    interval: Any = quantile_test(nanoseconds).confidence_interval(confidence_level=INTERVAL_LEVEL)
    ends = [float(end) / NANOSECONDS_A_MILLISECOND for end in (interval.low, interval.high)]
    return None if np.isnan(ends).any() else ends


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
    others = [found.others_cores for found in samples if found.others_cores is not None]
    reasons = _find_contamination(load, samples, others)
    return {
        "cpu": cpu_name(),
        "cores": core_count(),
        "load": load,
        "load_after": os.getloadavg()[0],
        "others_cores": max(others, default=None),
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


def _find_contamination(
    load: float, samples: Sequence[LatencySamples], others: Sequence[float]
) -> list[str]:
    reasons, cores = [], core_count()
    if not others and load > cores:
        # The load alone may be this program's own, of a training just before.
        reasons.append(f"the load before was {load:.1f} on {cores} cores")
    if is_busy(most := max(others, default=None)):
        limit = f"more than {BUSY_SHARE:.0%}"
        reasons.append(f"other programs used {most:.1f} of {cores} cores meanwhile, {limit}")
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
