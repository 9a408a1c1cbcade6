"""How long one picture takes: the times of single invocations, and what can be said from them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NANOSECONDS_A_MILLISECOND = 1e6
PERCENTILES = (50, 90, 99)
INTERVAL_LEVEL = 0.95
CONTAMINATED_RATIO = 1.2
"""On one thread, wall time this far above CPU time means that others had the core."""
REPEAT_TOLERANCE = 0.05
"""By how much the median CPU times of two passes may differ on a machine that is quiet enough."""


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
    machine_is_busy: bool = False

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
        return self.machine_is_busy or self.has_waited

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
    from scipy.stats import binom

    count = len(nanoseconds)
    outside = (1 - INTERVAL_LEVEL) / 2
    # The largest number of samples that may lie below the interval with a chance within `outside`.
    below = int(binom.ppf(outside, count, 0.5))
    below -= int(binom.cdf(below, count, 0.5) > outside)
    if below < 0:
        return None
    ordered = np.sort(nanoseconds) / NANOSECONDS_A_MILLISECOND
    return [float(ordered[below]), float(ordered[count - 1 - below])]
