"""A parity report for a person, in the terminal and in Markdown: recall comes first.

External sets of a parity report for a person, and what each measured set is.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from edge_melanoma.benchmarks.parity.comparison import Ties
from edge_melanoma.benchmarks.parity.verdict import ParityReport
from edge_melanoma.benchmarks.report.proof_tables import (
    describe_proof,
    describe_verdict,
    interval_section,
    proof_sections,
    rule_section,
)
from edge_melanoma.benchmarks.sections import ReportSection
from edge_melanoma.benchmarks.timing.latency import PERCENTILES
from edge_melanoma.data.cards import describe_cards
from edge_melanoma.evaluation.evaluation import explain_undefined, format_share
from edge_melanoma.machine.markdown import table_of, text_of
from edge_melanoma.tflite.quantization import ScoreTensor

OUTSIDE_COLUMNS = (
    "model",
    "recall",
    "drop",
    "specificity",
    "drop",
    "accuracy",
    "AUC",
    "agreement",
    "lost/gained",
    "recall at own threshold",
    "specificity at own threshold",
)


def outside_sections(parity: Mapping[str, Any]) -> Iterator[ReportSection]:
    """A table an external set, from what parity.json holds."""
    for outside in parity.get("external", ()):
        yield ReportSection(
            title=describe_outside(outside),
            columns=OUTSIDE_COLUMNS,
            rows=tuple(tuple(cells) for cells in outside_rows(outside)),
            note="At the reference's operating point, but for the last two columns.",
        )


def describe_outside(outside: Mapping[str, Any]) -> str:
    """What an entry of parity.json's "external" was measured on, in one line."""
    data = outside["dataset"]
    undefined = explain_undefined(benign=data["benign"], malignant=data["malignant"])
    return (
        f"Outside, {data['name']}: {data['images']} images, {data['malignant']} malignant, "
        f"{outside['left_out']} left out as copies" + (f"; {undefined}" if undefined else "")
    )


def describe_sets(report: ParityReport) -> list[str]:
    """The cards of the own and of the external sets, a line each."""
    blocks = [report.dataset, *(outside.as_dict()["dataset"] for outside in report.external)]
    return [line for block in blocks for line in describe_cards(block)]


def outside_rows(outside: Mapping[str, Any]) -> Iterator[list[str]]:
    """Cells of `OUTSIDE_COLUMNS` for an entry of parity.json's "external", the reference first."""
    yield _cells_of(outside["reference"], [""] * 6)
    for model in outside["candidates"]:
        drop, flips, own = model["drop"], model["flips"], model["at_own_threshold"]
        yield _cells_of(
            model,
            [
                format_share(drop["recall"], sign="+"),
                format_share(drop["specificity"], sign="+"),
                f"{model['agreement']:.2%}",
                f"{flips['lost_malignant']}/{flips['gained_malignant']}",
                format_share(own["metrics"]["recall"]) if own else "",
                format_share(own["metrics"]["specificity"]) if own else "",
            ],
        )


def _cells_of(model: Mapping[str, Any], compared: Sequence[str]) -> list[str]:
    metrics = {name: format_share(value) for name, value in model["metrics"].items()}
    recall_drop, specificity_drop, *rest = compared
    return [
        model["mode"],
        metrics["recall"],
        recall_drop,
        metrics["specificity"],
        specificity_drop,
        metrics["accuracy"],
        metrics["auc"],
        *rest,
    ]


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

Parity = Mapping[str, Any]


def describe_report(parity: Parity) -> str:
    """What was measured on what, in one line."""
    data, machine, threshold = parity["dataset"], parity["machine"], parity["threshold"]
    noise = ", contaminated by other load" if machine["contaminated"] else ""
    return (
        f"{data['name']}: {data['images']} images, {data['malignant']} malignant; "
        f"threshold {threshold['reference']:.4f} from {threshold['source']}; "
        f"{machine['cpu']}, load {machine['load']:.1f}{noise}"
    )


def render_terminal(report: ParityReport) -> list[Table]:
    """The tables for a terminal: quality, then cost, then what was proved."""
    parity = report.as_dict()
    sections = [quality_section(parity), cost_section(parity), *proof_sections(parity)]
    sections += [*report.sections, *outside_sections(parity)]
    return [_terminal_table(section) for section in sections]


def render_markdown(report: ParityReport) -> str:
    """The verdict, the tables, the flips and the failures as Markdown, fit for a pull request."""
    parity = report.as_dict()
    quality, cost = quality_section(parity), cost_section(parity)
    lines = ["# Parity of the exported models with the trained network", ""]
    lines += [f"**{describe_verdict(parity)}**", "", text_of(describe_report(parity)), ""]
    lines += [describe_proof(parity), ""] if proof_sections(parity) else []
    lines += [*table_of(quality.columns, quality.rows), "", quality.note, "", cost.title, ""]
    lines += table_of(cost.columns, cost.rows)
    lines += ["", "| model | sha256 |", "|---|---|"]
    models = [parity["reference"], *parity["candidates"]]
    lines += [f"| {model['mode']} | `{model['sha256']}` |" for model in models]
    for section in outside_sections(parity):
        table = table_of(section.columns, section.rows)
        lines += ["", f"## {text_of(section.title)}", "", *table, "", section.note]
    told = (*explain_candidates(report), *describe_sets(report))
    notes = [f"- {text_of(note)}" for note in told]
    lines += ["", *notes] if notes else []
    proofs = proof_sections(parity)
    intervals = [interval_section(parity)] if proofs else []
    for section in [rule_section(parity), *proofs, *intervals, *report.sections]:
        table = table_of(section.columns, section.rows)
        lines += ["", f"## {section.title}", "", *table, "", section.note]
    return "\n".join(lines) + "\n"


def quality_section(parity: Parity) -> ReportSection:
    """Metrics of every model at the reference's operating point."""
    reference = _quality_cells(parity["reference"], drops=("", ""))
    rows = [(*reference, "", "", "reference"), *map(_candidate_row, parity["candidates"])]
    return ReportSection(
        title=describe_report(parity),
        columns=QUALITY_COLUMNS,
        rows=tuple(rows),
        note=QUALITY_CAPTION,
    )


def cost_section(parity: Parity) -> ReportSection:
    """Size and time of every model."""
    rows = [_cost_cells(parity["reference"], ratio=1.0)]
    rows += [_cost_cells(model, ratio=model["latency_ratio"]) for model in parity["candidates"]]
    return ReportSection(
        title=_describe_timing(parity), columns=COST_COLUMNS, rows=tuple(rows), note=""
    )


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


def _terminal_table(section: ReportSection) -> Table:
    table = Table(title=escape(section.title), caption=escape(section.note))
    for number, column in enumerate(section.columns):
        table.add_column(column, justify="right" if number else "left")
    for cells in section.rows:
        table.add_row(*map(escape, cells))
    return table


def _describe_timing(parity: Parity) -> str:
    times = next((c["latency_ms"] for c in parity["candidates"] if c["latency_ms"]), None)
    if times is None:
        return "Latency was not measured"
    return (
        f"One picture at a time, {times['threads']} thread(s), {times['runs']} runs "
        f"after {times['warmup']} for warm-up"
    )


def _candidate_row(candidate: Parity) -> tuple[str, ...]:
    drops, flips = candidate["drop"], candidate["flips"]
    return (
        *_quality_cells(candidate, drops=(f"{drops['recall']:+.4f}", f"{drops['accuracy']:+.4f}")),
        f"{candidate['agreement']:.2%}",
        f"{flips['lost_malignant']}/{flips['gained_malignant']}",
        candidate["verdict"],
    )


def _quality_cells(model: Parity, *, drops: tuple[str, str]) -> tuple[str, ...]:
    recall_drop, accuracy_drop = drops
    shown = {name: f"{value:.4f}" for name, value in model["metrics"].items()}
    return (
        model["mode"],
        shown["recall"],
        recall_drop,
        *(shown[name] for name in ("specificity", "precision", "f1", "accuracy")),
        accuracy_drop,
        shown["auc"],
    )


def _cost_cells(model: Parity, *, ratio: float | None) -> tuple[str, ...]:
    cells = (model["mode"], model["runtime"], f"{model['size_bytes'] / 1e6:.2f}")
    times = model["latency_ms"]
    if times is None:
        return (*cells, "not run", "", "", "", "")
    percentiles = [f"{times[f'p{share}']:.2f}" for share in PERCENTILES]
    return (
        *cells,
        *percentiles,
        f"{times['cpu_p50']:.2f}",
        "" if ratio is None else f"{ratio:.2f}",
    )
