"""All times of one model, and the tables that show them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_melanoma.benchmarks.sections import Column, ReportSection, section_of
from edge_melanoma.benchmarks.settings import TimingSettings
from edge_melanoma.benchmarks.timing.in_turn import TurnTimes
from edge_melanoma.benchmarks.timing.latency import REPEAT_TOLERANCE, LatencySamples

CONTAMINATED, NOT_REPEATABLE = "load", "passes"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTiming:
    """The times of a model on each asked number of threads, the first of them the main one."""

    turns: tuple[TurnTimes, ...]
    cold_start: Mapping[str, Any]
    settings: TimingSettings

    @property
    def main(self) -> LatencySamples:
        """What stands in the main table."""
        return self.turns[0].samples

    def as_dict(self) -> dict[str, Any]:
        """For parity.json's `latency_ms`; the fields of the main samples come first."""
        first, told = self.turns[0], self.main.as_dict()
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
                "valid": told["runs"] >= self.settings.runs
                and told["timed_seconds"] >= self.settings.min_seconds,
            }
        told["end_to_end"] = dict(first.end_to_end)
        told["cold_start"] = dict(self.cold_start)
        told["by_threads"] = [
            turn.samples.as_dict() | {"end_to_end": dict(turn.end_to_end)} for turn in self.turns
        ]
        return told


def invocation_section(
    timings: Mapping[str, ModelTiming], *, doubts: Sequence[str] = ()
) -> ReportSection:
    """Bare invocations of every model on every number of threads.

    `doubts` are sentences on why the times cannot be believed.
    """
    settings = next(iter(timings.values())).settings
    scenario = "single stream as in MLPerf, p90 is its figure; " if settings.is_mlperf_like else ""
    predicts = [timing.turns[0].predict_p50_ms for timing in timings.values()]
    plain = "".join(f" Keras' plain predict: p50 {ms:.1f} ms." for ms in predicts if ms is not None)
    return section_of(
        "Invocations",
        INVOCATION_COLUMNS,
        [(mode, turn) for mode, timing in timings.items() for turn in timing.turns],
        note="".join(f"{doubt} " for doubt in doubts)
        + f"One picture at a time, models in turn; {scenario}passes: by how much the median CPU "
        f"times of two passes in fresh processes differ. Noise: {CONTAMINATED}, others had the "
        f"processor; {NOT_REPEATABLE}, they differ by more than {REPEAT_TOLERANCE:.0%}.{plain}",
    )


def whole_section(timings: Mapping[str, ModelTiming]) -> ReportSection:
    """From a file to a score, and from nothing to the first score."""
    return section_of(
        "End to end and cold start",
        WHOLE_COLUMNS,
        timings.items(),
        note=f"{next(iter(timings.values())).main.threads} thread(s), wall time. Cold: a fresh "
        f"process with the runtime imported and the file in the system's cache.",
    )


def describe_noise(samples: LatencySamples) -> str:
    """What speaks against the figures, in a word or two; empty if nothing does."""
    words = {CONTAMINATED: samples.is_contaminated, NOT_REPEATABLE: not samples.is_repeatable}
    return ", ".join(word for word, is_so in words.items() if is_so)


def _describe_kernels(xnnpack_parts: int | None) -> str:
    """With the number of stretches where built-in kernels run what lies between them."""
    named = {None: "TensorFlow", 0: "built-in", 1: "XNNPACK"}
    return named.get(xnnpack_parts, f"XNNPACK/{xnnpack_parts}")


def _sampled(cell: str) -> Callable[[tuple[str, TurnTimes]], str]:
    return lambda row: cell.format(row[1].samples.as_dict())


def _interval(row: tuple[str, TurnTimes]) -> str:
    interval = row[1].samples.as_dict()["p50_interval"]
    return f"{interval[0]:.2f} .. {interval[1]:.2f}" if interval else "too few"


INVOCATION_COLUMNS: tuple[Column, ...] = (
    ("model", "{0[0]}"),
    ("threads", "{0[1].samples.threads}"),
    ("kernels", lambda row: _describe_kernels(row[1].xnnpack_parts)),
    ("p50 ms", _sampled("{0[p50]:.2f}")),
    ("95 % interval", _interval),
    ("p90", _sampled("{0[p90]:.2f}")),
    ("p99", _sampled("{0[p99]:.2f}")),
    ("min", _sampled("{0[min]:.2f}")),
    ("mean", _sampled("{0[mean]:.2f}")),
    ("CPU p50", _sampled("{0[cpu_p50]:.2f}")),
    ("passes", "{0[1].samples.repeat_difference:.1%}"),
    ("runs", _sampled("{0[runs]}")),
    ("noise", lambda row: describe_noise(row[1].samples)),
)


def _whole(cell: str) -> Callable[[tuple[str, ModelTiming]], str]:
    return lambda row: cell.format(row[1].turns[0].end_to_end)


def _allocation(row: tuple[str, ModelTiming]) -> str:
    milliseconds = row[1].cold_start["allocate_ms"]
    return "" if milliseconds is None else f"{milliseconds:.1f}"


def _model_memory(row: tuple[str, ModelTiming]) -> str:
    cold = row[1].cold_start
    return f"{cold['peak_rss_mb'] - cold['rss_before_mb']:.0f}"


WHOLE_COLUMNS: tuple[Column, ...] = (
    ("model", "{0[0]}"),
    ("file to score p50 ms", _whole("{0[p50]:.2f}")),
    ("p90", _whole("{0[p90]:.2f}")),
    ("decode", _whole("{0[decode_p50]:.2f}")),
    ("resize", _whole("{0[resize_p50]:.2f}")),
    ("invoke", _whole("{0[invoke_p50]:.2f}")),
    ("cold: load", "{0[1].cold_start[load_ms]:.1f}"),
    ("allocate", _allocation),
    ("first invoke", "{0[1].cold_start[first_invoke_ms]:.1f}"),
    ("peak MB", "{0[1].cold_start[peak_rss_mb]:.0f}"),
    ("of it the model", _model_memory),
)
