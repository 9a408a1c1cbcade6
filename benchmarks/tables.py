"""A parity report for a person, in the terminal and in Markdown: recall first, lost melanomas named."""

from collections.abc import Sequence

from rich.table import Table

from edge_melanoma.benchmarks.parity import MeasuredCandidate, MeasuredModel, ParityReport

COLUMNS = (
    "model",
    "runtime",
    "recall",
    "drop",
    "specificity",
    "accuracy",
    "drop",
    "precision",
    "F1",
    "AUC",
    "agree",
    "lost/gained",
    "size MB",
    "p50/p90/p99 ms",
    "CPU ms",
    "verdict",
)
EXAMPLES_SHOWN = 5


def describe_report(report: ParityReport) -> str:
    """What was measured on what, in one line."""
    data, machine = report.dataset, report.machine
    noise = ", contaminated by other load" if machine["contaminated"] else ""
    return (
        f"{data['name']}: {data['images']} images, {data['malignant']} malignant; "
        f"threshold {report.threshold:.4f} from {report.threshold_source}; "
        f"{machine['cpu']}, load {machine['load']:.1f}{noise}"
    )


def render_terminal(report: ParityReport) -> Table:
    """The table for a terminal."""
    table = Table(title=describe_report(report), caption=_caption(report))
    for number, column in enumerate(COLUMNS):
        table.add_column(column, justify="left" if number < 2 else "right", overflow="fold")
    for cells in _rows(report):
        table.add_row(*cells)
    return table


def render_markdown(report: ParityReport) -> str:
    """The table, the flips and the failures as Markdown."""
    lines = ["# Parity of the exported models with the trained network", ""]
    lines += [describe_report(report), ""]
    lines += markdown_table(COLUMNS, _rows(report))
    lines += ["", _caption(report), "", "| model | sha256 |", "|---|---|"]
    models = [report.reference, *(candidate.model for candidate in report.candidates)]
    lines += [f"| {model.mode} | `{model.sha256}` |" for model in models]
    return "\n".join([*lines, "", *explain_candidates(report)]) + "\n"


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    rule = "|".join("---" for _ in columns)
    return [f"| {' | '.join(columns)} |", f"|{rule}|", *(f"| {' | '.join(row)} |" for row in rows)]


def explain_candidates(report: ParityReport) -> list[str]:
    """A line for each failure and for the melanomas that a candidate loses."""
    lines = []
    for candidate in report.candidates:
        lines += [f"{candidate.model.mode} fails: {failure}" for failure in candidate.failures]
        lost = candidate.comparison.flips.lost_malignant
        if lost:
            more = f" and {len(lost) - EXAMPLES_SHOWN} more" if len(lost) > EXAMPLES_SHOWN else ""
            names = ", ".join(lost[:EXAMPLES_SHOWN])
            lines.append(f"{candidate.model.mode} loses {len(lost)} malignant: {names}{more}")
    return lines


def _caption(report: ParityReport) -> str:
    latencies = [c.model.latency for c in report.candidates if c.model.latency]
    timed = ""
    if latencies:
        first = latencies[0]
        timed = (
            f"Latency of one picture, {first.threads} thread(s), {len(first.wall_ns)} runs "
            f"after {first.warmup} for warm-up. "
        )
    return f"{timed}Drop = reference - candidate. Research only, not a medical device."


def _rows(report: ParityReport) -> list[list[str]]:
    return [_reference_row(report.reference), *(_candidate_row(c) for c in report.candidates)]


def _reference_row(model: MeasuredModel) -> list[str]:
    m = model.metrics
    shares = [m.recall, None, m.specificity, m.accuracy, None, m.precision, m.f1, m.auc]
    return [
        f"{model.mode} (reference)",
        model.runtime,
        *("" if share is None else f"{share:.4f}" for share in shares),
        "",
        "",
        *_cost_cells(model),
        "",
    ]


def _candidate_row(candidate: MeasuredCandidate) -> list[str]:
    model, comparison = candidate.model, candidate.comparison
    m, drops, flips = model.metrics, comparison.drops(), comparison.flips
    return [
        model.mode,
        model.runtime,
        f"{m.recall:.4f}",
        f"{drops['recall']:+.4f}",
        f"{m.specificity:.4f}",
        f"{m.accuracy:.4f}",
        f"{drops['accuracy']:+.4f}",
        f"{m.precision:.4f}",
        f"{m.f1:.4f}",
        f"{m.auc:.4f}",
        f"{comparison.agreement:.2%}",
        f"{len(flips.lost_malignant)}/{len(flips.gained_malignant)}",
        *_cost_cells(model),
        candidate.verdict,
    ]


def _cost_cells(model: MeasuredModel) -> list[str]:
    size = f"{model.size_bytes / 1e6:.2f}"
    if model.latency is None:
        return [size, "not run", "not run"]
    percentiles = "/".join(f"{model.latency.percentile_ms(p):.1f}" for p in (50, 90, 99))
    return [size, percentiles, f"{model.latency.cpu_p50_ms:.1f}"]
