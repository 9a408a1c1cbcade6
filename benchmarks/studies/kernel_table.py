"""Kernel variance as a table: largest difference first to be seen, then what it turned."""

from collections.abc import Sequence

from edge_melanoma.benchmarks.sections import ReportSection
from edge_melanoma.benchmarks.studies.kernels import KernelOutcome

COLUMNS = (
    "model",
    "interpreter",
    "kernels",
    "threads",
    "lost/gained malignant",
    "false alarms new/cleared",
    "largest difference, quanta",
    "of P",
    "identical",
    "CPU ms",
)


def kernel_section(outcomes: Sequence[KernelOutcome]) -> ReportSection:
    """A row for each file and path, those that did not run with the reason."""
    images = max((outcome.images for outcome in outcomes), default=0)
    return ReportSection(
        title="The same file by different kernels",
        columns=COLUMNS,
        rows=tuple(_row(outcome) for outcome in outcomes),
        note=f"{images} images, spread over the set; each row is held against the first of its "
        f"model, at the threshold. Quanta: steps of the output's integer. A phone that runs other "
        f"kernels than these gives other scores.{_describe_skipped(outcomes)}",
        key="kernels",
        content=[outcome.as_dict() for outcome in outcomes],
    )


def _row(outcome: KernelOutcome) -> tuple[str, ...]:
    path = outcome.path
    way = (outcome.mode, path.runtime.value, _describe_kernels(outcome), str(path.threads))
    if outcome.flips is None:
        return (*way, "not run", "", "", "", "", "")
    flips = outcome.flips.counts()
    return (
        *way,
        f"{flips['lost_malignant']}/{flips['gained_malignant']}",
        f"{flips['new_false_alarm']}/{flips['cleared_false_alarm']}",
        "float" if outcome.max_quanta is None else str(outcome.max_quanta),
        f"{outcome.max_score_difference:.4g}",
        f"{outcome.identical:.1%}",
        f"{outcome.cpu_ms:.1f}",
    )


def _describe_kernels(outcome: KernelOutcome) -> str:
    asked = outcome.path.kernels.value
    if outcome.flips is None:
        return asked
    return f"{asked}: XNNPACK" if outcome.xnnpack_parts else f"{asked}: no XNNPACK"


def _describe_skipped(outcomes: Sequence[KernelOutcome]) -> str:
    reasons = dict.fromkeys(
        f" {outcome.path.runtime.value} did not run {outcome.mode}: {outcome.reason}."
        for outcome in outcomes
        if outcome.flips is None
    )
    return "".join(reasons)
