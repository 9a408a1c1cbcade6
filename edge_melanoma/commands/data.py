"""edge-melanoma data: data sets themselves; and cache: what is kept of their pictures."""

import shutil
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column, Table
from typer import Argument, Option

from edge_melanoma.commands import options
from edge_melanoma.machine.command_line import ADVANCED, OUTPUT, Group
from edge_melanoma.machine.files import write_atomically, write_result
from edge_melanoma.machine.terminal import (
    PlainConsole,
    TerminalReporter,
    next_lines,
    print_lines,
    print_table,
)
from edge_melanoma.runtime.names import Engine

if TYPE_CHECKING:
    from edge_melanoma.check.report import DataReport

SHORTCUTS_SHOWN = 4
FOUND = 1

app = typer.Typer(cls=Group, help="Check, fetch or generate data sets.", no_args_is_help=True)
cache_app = typer.Typer(
    cls=Group,
    help="Clear what is kept of pictures from one command to the next.",
    no_args_is_help=True,
)


@app.command("check", cls=options.Command)
def check(
    folders: Annotated[list[Path], Argument(metavar="DIR...", help="One data set or several.")],
    labels: options.LabelTables = None,
    malignant: options.MalignantClasses = None,
    group: options.GroupBy = None,
    json: options.JsonFile = None,
    html: Annotated[
        Path | None,
        Option(metavar="FILE", rich_help_panel=OUTPUT, help="Write a page with the pictures too."),
    ] = None,
    fix_list: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            rich_help_panel=OUTPUT,
            help="Write which files to remove, one a line with the reason.",
        ),
    ] = None,
    cache: Annotated[
        bool,
        Option(
            "--cache/--no-cache",
            rich_help_panel=ADVANCED,
            help="Keep fingerprints of the pictures for the next time.",
        ),
    ] = True,
    strict: Annotated[
        bool, Option("--strict", help="Exit with 1 if anything but shortcuts was found.")
    ] = False,
    engine: options.EngineOption = Engine.LOCAL,
    workers: options.WorkersOption = None,
    address: options.AddressOption = None,
) -> None:
    """Find unreadable files, copies, label conflicts, leaks and shortcuts; change nothing.

    Exit code 1 with --strict: something was found.

    Examples:
        edge-melanoma data check photos
        edge-melanoma data check photos --strict --fix-list remove.txt
    """
    ray = options.choose_ray(engine, workers=workers, address=address)
    from edge_melanoma.check import report
    from edge_melanoma.data.screening import default_fingerprint_folder
    from edge_melanoma.data.sets import name_folders
    from edge_melanoma.runs.folders import refuse_unwritable

    refuse_unwritable(json, html, fix_list)
    found = report.examine_data(
        name_folders(folders),
        options.choose_reading(labels, malignant, group, folders=folders),
        cache_folder=default_fingerprint_folder() if cache else None,
        reporter=TerminalReporter(),
        ray=ray,
    )
    removals = report.list_removals(found)
    if html:
        write_atomically(html, report.render_page(found, removals))
    if fix_list:
        write_atomically(fix_list, report.removals_to_text(removals))
    if not write_result(json, found.told):
        console = PlainConsole()
        print_table(console, _sets_table(found))
        print_table(console, _findings_table(found, removals=len(removals)))
        print_lines(console, *found.told["sources"]["notes"], _verdict(found, len(removals)))
        command: tuple[object, ...] = ("train", *(w for f in folders for w in ("--data", f)))
        if removals:
            command = ("data", "check", *folders, "--fix-list", "remove.txt")
        told = () if removals and fix_list else command
        print_lines(console, *next_lines(json, html, fix_list, command=told))
    if strict and _found_groups(found):
        raise typer.Exit(FOUND)


@app.command("fetch", cls=options.Command)
def fetch(
    folder: Annotated[Path, Argument(metavar="DIR", help="A new or empty folder.")],
    name: Annotated[
        str, Option("--set", metavar="NAME", help="kaggle-melanoma: that of the original work.")
    ] = "kaggle-melanoma",
) -> None:
    """Download a public data set by Kaggle's own client (extra kaggle), and count its images.

    Examples:
        edge-melanoma data fetch photos
        edge-melanoma data fetch photos --set kaggle-melanoma
    """
    from edge_melanoma.data.sets import fetch_set
    from edge_melanoma.runs.folders import refuse_unwritable

    refuse_unwritable(folder / "README.txt")
    typer.echo(fetch_set(name, folder))


@app.command("phantoms", cls=options.Command)
def phantoms(
    folder: Annotated[Path, Argument(metavar="DIR", help="A new or empty folder.")],
    count: Annotated[int, Option(help="Pictures, half of them malignant.")] = 600,
    seed: options.Seed = 0,
    size: Annotated[
        int | None,
        Option(show_default="mostly 224, some others", help="Side in pixels."),
    ] = None,
) -> None:
    """Write generated lesion pictures: no photographs, and no evidence about patients.

    Examples:
        edge-melanoma data phantoms phantoms
        edge-melanoma data phantoms phantoms --count 60 --size 96
    """
    from edge_melanoma.data.phantoms import write_phantoms
    from edge_melanoma.runs.folders import refuse_unwritable

    refuse_unwritable(folder / "README.txt")
    paths = write_phantoms(folder, count=count, seed=seed, size=size)
    told = f"{len(paths)} generated pictures"
    command = ("train", "--data", folder, "--variant", "scratch", "--weights", "none")
    print_lines(PlainConsole(), told, *next_lines(folder, command=command))


def _sets_table(report: "DataReport") -> Table:
    table = Table(title="Data sets")
    for column in ("set", "benign", "malignant", "unreadable", "sizes", "worst shortcuts (AUC)"):
        table.add_column(
            column, justify="left" if column in {"set", "sizes"} else "right", overflow="fold"
        )
    for one in report.told["sets"]:
        sizes = ", ".join(f"{width}x{height}" for width, height, _ in one["sizes"][:2])
        more = " ..." if len(one["sizes"]) > 2 else ""
        worst = [*report.shortcuts[one["name"]].items()][:SHORTCUTS_SHOWN]
        told = "\n".join(f"{feature} {auc:.3f}" for feature, auc in worst)
        counts = (str(one[count]) for count in ("benign", "malignant", "unreadable"))
        table.add_row(one["name"], *counts, sizes + more, told or str(one["note"]))
    return table


def _findings_table(report: "DataReport", *, removals: int) -> Table:
    number, images = Column("number", justify="right"), Column("images", justify="right")
    table = Table("finding", number, images, title="Findings")
    for name, found in _groups(report).items():
        table.add_row(name, str(len(found)), str(len({*chain.from_iterable(found)})))
    table.add_row("files to remove (--fix-list)", str(removals), str(removals))
    return table


def _groups(report: "DataReport") -> dict[str, Sequence[Any]]:
    """What was found, by kind; of each finding the files that it is about."""
    told = report.told
    return dict(
        (
            ("files skipped, not taken for pictures", [(name,) for name in told["skipped"]]),
            ("unreadable files", [(bad["file"],) for bad in told["bad"]]),
            ("exact duplicates (groups)", told["exact_duplicates"]),
            ("near duplicates (groups)", told["near_duplicates"]),
            ("label conflicts (groups)", told["label_conflicts"]),
            ("leaks between the given sides (pairs)", told["cross_split_leaks"]),
            ("copies in two sets (pairs)", told["cross_set_copies"]),
            ("lesions or patients on two given sides (groups)", told["lesion_leaks"]),
            ("lesions with both labels (groups)", told["lesion_conflicts"]),
        )
    )


def _found_groups(report: "DataReport") -> dict[str, int]:
    """How many of each kind that is wrong."""
    kinds = {name: len(found) for name, found in _groups(report).items() if found}
    return {name: count for name, count in kinds.items() if not name.startswith("files skipped")}


def _verdict(report: "DataReport", removals: int) -> str:
    found = _found_groups(report)
    if not found:
        return "Verdict: clean. Every picture can be read, and none is a copy, a leak or in doubt."
    told = ", ".join(f"{count} {name}" for name, count in found.items())
    return f"Verdict: not clean, {removals} files to remove: {told}."


@cache_app.callback()
def _about_cache() -> None:
    pass


@cache_app.command("clear", cls=options.Command)
def clear() -> None:
    """Remove what is kept of pictures: hashes, statistics, thumbnails and activations.

    Nobody but this user can look into it. Folders that were given with --cache-dir are not touched.

    Examples:
        edge-melanoma cache clear
        edge-melanoma cache clear --quiet
    """
    from edge_melanoma.data.screening import default_fingerprint_folder

    folder = default_fingerprint_folder()
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    size = sum(path.stat().st_size for path in files)
    if folder.is_dir():
        shutil.rmtree(folder)
    typer.echo(f"Removed {len(files)} files, {size / 1e6:.1f} MB, from {folder}")
