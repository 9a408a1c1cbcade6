"""Times on a phone in the report: rows beside those of this machine, and a table of their own."""

from edge_melanoma.benchmarks.sections import ReportSection
from edge_melanoma.benchmarks.studies.phone import PhoneReport
from edge_melanoma.benchmarks.studies.phone_output import PhoneTimes

COLUMNS = (
    "model",
    "threads",
    "kernels",
    "p50 ms",
    "p5 ms",
    "p95 ms",
    "min ms",
    "mean ms",
    "max ms",
    "first ms",
    "init ms",
    "memory MB",
    "runs",
)


def phone_section(report: PhoneReport) -> ReportSection:
    """A row for each file and number of threads."""
    device = report.device
    return ReportSection(
        title=f"On a phone: {report.name}, Android {device['android']}, "
        f"{device['soc'] or device['abi']}",
        columns=COLUMNS,
        rows=tuple(_row(mode, times) for mode, times in report.times),
        note="By the official benchmark_model: random input, wall time, one file after another; "
        "a phone that gets warm gets slower.",
        key="phone",
        content=report.as_dict(),
    )


def invocation_rows(report: PhoneReport) -> tuple[tuple[str, ...], ...]:
    """The same as rows of the table of invocations on this machine; what is not told is empty."""
    return tuple(
        (
            f"{mode} on {report.name}",
            str(times.threads),
            _kernels(times),
            _shown(times.p50),
            "",
            "",
            "",
            _shown(times.min),
            _shown(times.mean),
            "",
            "",
            str(times.runs),
            "",
        )
        for mode, times in report.times
    )


def _row(mode: str, times: PhoneTimes) -> tuple[str, ...]:
    return (
        mode,
        str(times.threads),
        _kernels(times),
        *map(_shown, (times.p50, times.p5, times.p95, times.min, times.mean, times.max)),
        _shown(times.first),
        _shown(times.init),
        "" if times.memory_mb is None else f"{times.memory_mb:.1f}",
        str(times.runs),
    )


def _kernels(times: PhoneTimes) -> str:
    return {True: "XNNPACK", False: "built-in", None: "not told"}[times.xnnpack]


def _shown(milliseconds: float | None) -> str:
    return "" if milliseconds is None else f"{milliseconds:.2f}"
