"""What `data check` does: examines data sets, prints the findings, writes the files asked for."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from edge_melanoma.check.page import render_page
from edge_melanoma.check.report import (
    DataReport,
    examine_data,
    list_removals,
    removals_to_text,
    report_to_json,
)
from edge_melanoma.data.screening import default_fingerprint_folder
from edge_melanoma.data.sets import name_folders
from edge_melanoma.machine.files import write_atomically, write_json
from edge_melanoma.machine.terminal import TerminalReporter
from edge_melanoma.runs.folders import refuse_unwritable

SHORTCUTS_SHOWN = 4


def check_data(
    folders: Sequence[Path],
    *,
    json: Path | None = None,
    html: Path | None = None,
    fix_list: Path | None = None,
    use_cache: bool = True,
) -> DataReport:
    """Examine the data sets and print two tables; what is found is no error."""
    refuse_unwritable(json, html, fix_list)
    named = name_folders(folders)
    reporter = TerminalReporter()
    cache_folder = default_fingerprint_folder() if use_cache else None
    report = examine_data(named, cache_folder=cache_folder, reporter=reporter)
    removals = list_removals(report)
    console = Console(highlight=False)
    console.print(_sets_table(report))
    console.print(_findings_table(report, removals=len(removals)))
    if json:
        write_json(json, report_to_json(report))
    if html:
        write_atomically(html, render_page(report, removals))
    if fix_list:
        write_atomically(fix_list, removals_to_text(removals))
    return report


def _sets_table(report: DataReport) -> Table:
    table = Table(title="Data sets")
    for column in ("set", "benign", "malignant", "unreadable", "sizes", "worst shortcuts (AUC)"):
        table.add_column(
            column, justify="left" if column in {"set", "sizes"} else "right", overflow="fold"
        )
    for summary in report.sets:
        sizes = ", ".join(f"{width}x{height}" for width, height, _ in summary.sizes[:2])
        more = " ..." if len(summary.sizes) > 2 else ""
        worst = summary.shortcuts[:SHORTCUTS_SHOWN]
        told = "\n".join(f"{shortcut.feature} {shortcut.auc:.3f}" for shortcut in worst)
        table.add_row(
            summary.name,
            str(summary.benign),
            str(summary.malignant),
            str(summary.unreadable),
            sizes + more,
            told or str(summary.note),
        )
    return table


def _findings_table(report: DataReport, *, removals: int) -> Table:
    table = Table(title="Findings")
    table.add_column("finding")
    table.add_column("number", justify="right")
    table.add_column("images", justify="right")
    groups = (
        ("files skipped, not taken for pictures", [(name,) for name in report.skipped]),
        ("unreadable files", [(bad.image_id,) for bad in report.bad]),
        ("exact duplicates (groups)", report.exact),
        ("near duplicates (groups)", report.near),
        ("label conflicts (groups)", report.conflicts),
        ("leaks between the given sides (pairs)", report.leaks),
        ("copies in two sets (pairs)", report.crossings),
    )
    for name, found in groups:
        images = {image_id for group in found for image_id in group}
        table.add_row(name, str(len(found)), str(len(images)))
    table.add_row("files to remove (--fix-list)", str(removals), str(removals))
    return table
