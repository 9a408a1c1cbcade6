"""All times of one model, and the tables that show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_melanoma.benchmarks.sections import ReportSection
from edge_melanoma.benchmarks.timing.cold_start import ColdStart
from edge_melanoma.benchmarks.timing.in_turn import TimingSettings, TurnTimes
from edge_melanoma.benchmarks.timing.latency import REPEAT_TOLERANCE, LatencySamples

INVOCATIONS = "Invocations"
INVOCATION_COLUMNS = (
    "model",
    "threads",
    "kernels",
    "p50 ms",
    "95 % interval",
    "p90",
    "p99",
    "min",
    "mean",
    "CPU p50",
    "passes",
    "runs",
    "noise",
)
WHOLE_COLUMNS = (
    "model",
    "file to score p50 ms",
    "p90",
    "decode",
    "resize",
    "invoke",
    "cold: load",
    "allocate",
    "first invoke",
    "peak MB",
    "of it the model",
)
CONTAMINATED, NOT_REPEATABLE = "load", "passes"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTiming:
    """The times of a model on each asked number of threads, the first of them the main one."""

    turns: tuple[TurnTimes, ...]
    cold_start: ColdStart
    settings: TimingSettings

    @property
    def main(self) -> LatencySamples:
        """What stands in the main table."""
        return self.turns[0].samples

    def as_dict(self) -> dict[str, Any]:
        """For parity.json's `latency_ms`; the fields of the main samples come first."""
        first = self.turns[0]
        told = self.main.as_dict()
        if first.predict_p50_ms is not None:
            told["predict_p50"] = first.predict_p50_ms
        if first.xnnpack_parts is not None:
            told["xnnpack"] = first.xnnpack_parts > 0
            told["xnnpack_parts"] = first.xnnpack_parts
        if self.settings.is_mlperf_like:
            told["single_stream"] = {
                "queries": told["runs"],
                "seconds": told["timed_seconds"],
                "p90": told["p90"],
                "valid": _is_valid_stream(self.main, self.settings),
            }
        told["end_to_end"] = first.end_to_end.as_dict()
        told["cold_start"] = self.cold_start.as_dict()
        told["by_threads"] = [
            turn.samples.as_dict() | {"end_to_end": turn.end_to_end.as_dict()}
            for turn in self.turns
        ]
        return told


def invocation_section(
    timings: Mapping[str, ModelTiming], *, doubts: Sequence[str] = ()
) -> ReportSection:
    """Bare invocations of every model on every number of threads.

    `doubts` are sentences on why the times cannot be believed.
    """
    rows = [
        _invocation_row(mode, turn) for mode, timing in timings.items() for turn in timing.turns
    ]
    settings = next(iter(timings.values())).settings
    scenario = "single stream as in MLPerf, p90 is its figure; " if settings.is_mlperf_like else ""
    predicts = [timing.turns[0].predict_p50_ms for timing in timings.values()]
    plain = "".join(f" Keras' plain predict: p50 {ms:.1f} ms." for ms in predicts if ms is not None)
    return ReportSection(
        title=INVOCATIONS,
        columns=INVOCATION_COLUMNS,
        rows=tuple(rows),
        note="".join(f"{doubt} " for doubt in doubts)
        + f"One picture at a time, models in turn; {scenario}passes: by how much the median CPU "
        f"times of two passes in fresh processes differ. Noise: {CONTAMINATED}, others had the "
        f"processor; {NOT_REPEATABLE}, they differ by more than {REPEAT_TOLERANCE:.0%}.{plain}",
    )


def whole_section(timings: Mapping[str, ModelTiming]) -> ReportSection:
    """From a file to a score, and from nothing to the first score."""
    return ReportSection(
        title="End to end and cold start",
        columns=WHOLE_COLUMNS,
        rows=tuple(_whole_row(mode, timing) for mode, timing in timings.items()),
        note=f"{next(iter(timings.values())).main.threads} thread(s), wall time. Cold: a fresh "
        f"process with the runtime imported and the file in the system's cache.",
    )


def describe_noise(samples: LatencySamples) -> str:
    """What speaks against the figures, in a word or two; empty if nothing does."""
    words = {CONTAMINATED: samples.is_contaminated, NOT_REPEATABLE: not samples.is_repeatable}
    return ", ".join(word for word, is_so in words.items() if is_so)


def _is_valid_stream(samples: LatencySamples, settings: TimingSettings) -> bool:
    seconds = sum(samples.wall_ns) / 1e9
    return len(samples.wall_ns) >= settings.runs and seconds >= settings.min_seconds


def _invocation_row(mode: str, turn: TurnTimes) -> tuple[str, ...]:
    samples, told = turn.samples, turn.samples.as_dict()
    interval = told["p50_interval"]
    return (
        mode,
        str(samples.threads),
        _describe_kernels(turn.xnnpack_parts),
        f"{told['p50']:.2f}",
        f"{interval[0]:.2f} .. {interval[1]:.2f}" if interval else "too few",
        *(f"{told[name]:.2f}" for name in ("p90", "p99", "min", "mean", "cpu_p50")),
        f"{samples.repeat_difference:.1%}",
        str(len(samples.wall_ns)),
        describe_noise(samples),
    )


def _describe_kernels(xnnpack_parts: int | None) -> str:
    """With the number of stretches where built-in kernels run what lies between them."""
    if xnnpack_parts is None:
        return "TensorFlow"
    if xnnpack_parts == 0:
        return "built-in"
    return "XNNPACK" if xnnpack_parts == 1 else f"XNNPACK/{xnnpack_parts}"


def _whole_row(mode: str, timing: ModelTiming) -> tuple[str, ...]:
    whole, cold = timing.turns[0].end_to_end.as_dict(), timing.cold_start
    parts = ("p50", "p90", "decode_p50", "resize_p50", "invoke_p50")
    return (
        mode,
        *(f"{whole[name]:.2f}" for name in parts),
        f"{cold.load_ms:.1f}",
        "" if cold.allocate_ms is None else f"{cold.allocate_ms:.1f}",
        f"{cold.first_invoke_ms:.1f}",
        f"{cold.peak_rss_mb:.0f}",
        f"{cold.peak_rss_mb - cold.rss_before_mb:.0f}",
    )
