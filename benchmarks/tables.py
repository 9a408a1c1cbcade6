"""A parity report for a person, in the terminal and in Markdown: recall comes first."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from edge_melanoma.benchmarks.latency import PERCENTILES
from edge_melanoma.benchmarks.parity import MeasuredCandidate, MeasuredModel, ParityReport
from edge_melanoma.benchmarks.quality import Ties
from edge_melanoma.benchmarks.sections import ReportSection
from edge_melanoma.quantization import ScoreTensor

QUALITY_COLUMNS = (
    "model",
    "recall",
    "drop",
    "specificity",
    "precision",
    "F1",
    "accuracy",
    "drop",
    "AUC",
    "agreement",
    "lost/gained",
    "verdict",
)
COST_COLUMNS = (
    "model",
    "runtime",
    "size MB",
    "p50 ms",
    "p90 ms",
    "p99 ms",
    "CPU p50 ms",
    "p50 ratio",
)
EXAMPLES_SHOWN = 5
QUALITY_CAPTION = "Drop = reference - candidate. Research only, not a medical device."


def describe_report(report: ParityReport) -> str:
    """What was measured on what, in one line."""
    data, machine = report.dataset, report.machine
    noise = ", contaminated by other load" if machine["contaminated"] else ""
    return (
        f"{data['name']}: {data['images']} images, {data['malignant']} malignant; "
        f"threshold {report.threshold:.4f} from {report.threshold_source}; "
        f"{machine['cpu']}, load {machine['load']:.1f}{noise}"
    )


def render_terminal(report: ParityReport) -> list[Table]:
    """The tables for a terminal: quality, then cost."""
    quality = Table(title=escape(describe_report(report)), caption=QUALITY_CAPTION)
    cost = Table(title=_describe_timing(report))
    for table, columns, rows in (
        (quality, QUALITY_COLUMNS, _quality_rows(report)),
        (cost, COST_COLUMNS, _cost_rows(report)),
    ):
        for number, column in enumerate(columns):
            table.add_column(column, justify="right" if number else "left")
        for cells in rows:
            table.add_row(*map(escape, cells))
    return [quality, cost, *map(_section_table, report.sections)]


def render_markdown(report: ParityReport) -> str:
    """The table, the flips and the failures as Markdown."""
    lines = ["# Parity of the exported models with the trained network", ""]
    lines += [describe_report(report), ""]
    lines += markdown_table(QUALITY_COLUMNS, _quality_rows(report))
    lines += ["", QUALITY_CAPTION, "", _describe_timing(report), ""]
    lines += markdown_table(COST_COLUMNS, _cost_rows(report))
    lines += ["", "| model | sha256 |", "|---|---|"]
    models = [report.reference, *(candidate.model for candidate in report.candidates)]
    lines += [f"| {model.mode} | `{model.sha256}` |" for model in models]
    notes = [f"- {note}" for note in explain_candidates(report)]
    lines += ["", *notes] if notes else []
    for section in report.sections:
        table = markdown_table(section.columns, section.rows)
        lines += ["", f"## {section.title}", "", *table, "", section.note]
    return "\n".join(lines) + "\n"


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    rule = "|".join("---" for _ in columns)
    return [f"| {' | '.join(columns)} |", f"|{rule}|", *(f"| {' | '.join(row)} |" for row in rows)]


def _section_table(section: ReportSection) -> Table:
    table = Table(title=escape(section.title), caption=escape(section.note))
    for number, column in enumerate(section.columns):
        table.add_column(column, justify="right" if number else "left")
    for cells in section.rows:
        table.add_row(*map(escape, cells))
    return table


def explain_candidates(report: ParityReport) -> list[str]:
    """A line for each failure, for the melanomas that a candidate loses and for its ties."""
    lines = []
    for candidate in report.candidates:
        lines += [f"{candidate.model.mode} fails: {failure}" for failure in candidate.failures]
        lost = candidate.comparison.flips.lost_malignant
        if lost:
            more = f" and {len(lost) - EXAMPLES_SHOWN} more" if len(lost) > EXAMPLES_SHOWN else ""
            names = ", ".join(lost[:EXAMPLES_SHOWN])
            lines.append(f"{candidate.model.mode} loses {len(lost)} malignant: {names}{more}")
        ties = candidate.comparison.ties
        if ties and ties.images:
            lines.append(f"{candidate.model.mode}: {_describe_ties(ties)}")
    return lines


def _describe_ties(ties: Ties) -> str:
    images, lie = ("1 image", "lies") if ties.images == 1 else (f"{ties.images} images", "lie")
    place = _describe_place(ties.output)
    return f"{images} ({ties.malignant} malignant) {lie} on the threshold{place}"


def _describe_place(output: ScoreTensor) -> str:
    if output.quantization.is_float:
        return " itself"
    scale = output.quantization.scale
    step = f"{scale:.3g} of the logit" if output.is_logit else f"1/{1 / scale:.6g}"
    return f"'s own step of {step}"


def _describe_timing(report: ParityReport) -> str:
    samples = next((c.model.latency for c in report.candidates if c.model.latency), None)
    if samples is None:
        return "Latency was not measured"
    return (
        f"One picture at a time, {samples.threads} thread(s), {len(samples.wall_ns)} runs "
        f"after {samples.warmup} for warm-up"
    )


def _quality_rows(report: ParityReport) -> list[list[str]]:
    reference = _quality_cells(report.reference, drops=("", ""))
    return [[*reference, "", "", "reference"], *map(_candidate_row, report.candidates)]


def _candidate_row(candidate: MeasuredCandidate) -> list[str]:
    comparison = candidate.comparison
    drops = comparison.drops()
    flips = comparison.flips
    return [
        *_quality_cells(
            candidate.model, drops=(f"{drops['recall']:+.4f}", f"{drops['accuracy']:+.4f}")
        ),
        f"{comparison.agreement:.2%}",
        f"{len(flips.lost_malignant)}/{len(flips.gained_malignant)}",
        candidate.verdict,
    ]


def _quality_cells(model: MeasuredModel, *, drops: tuple[str, str]) -> list[str]:
    metrics = model.metrics
    recall_drop, accuracy_drop = drops
    return [
        model.mode,
        f"{metrics.recall:.4f}",
        recall_drop,
        f"{metrics.specificity:.4f}",
        f"{metrics.precision:.4f}",
        f"{metrics.f1:.4f}",
        f"{metrics.accuracy:.4f}",
        accuracy_drop,
        f"{metrics.auc:.4f}",
    ]


def _cost_rows(report: ParityReport) -> list[list[str]]:
    rows = [_cost_cells(report.reference, ratio=1.0)]
    return rows + [_cost_cells(c.model, ratio=c.latency_ratio) for c in report.candidates]


def _cost_cells(model: MeasuredModel, *, ratio: float | None) -> list[str]:
    cells = [model.mode, model.runtime, f"{model.size_bytes / 1e6:.2f}"]
    if model.latency is None:
        return [*cells, "not run", "", "", "", ""]
    percentiles = [f"{model.latency.percentile_ms(share):.2f}" for share in PERCENTILES]
    cpu = f"{model.latency.cpu_p50_ms:.2f}"
    return [*cells, *percentiles, cpu, "" if ratio is None else f"{ratio:.2f}"]
