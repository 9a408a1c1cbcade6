"""What `android` does: write the bundle of a run, or check one, and say what was found."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from edge_melanoma.converters.phone.bundle import bundle_files, choose_int8_export, write_bundle
from edge_melanoma.converters.phone.check import check_bundle
from edge_melanoma.converters.phone.layout import SUMS, refuse_full_folder
from edge_melanoma.converters.phone.twins import find_or_convert_float16
from edge_melanoma.data.crops import Crop
from edge_melanoma.machine.terminal import TerminalReporter, results_console
from edge_melanoma.runs.bundled import bundled_run, is_bundled
from edge_melanoma.runs.folders import refuse_unwritable
from edge_melanoma.runs.models import find_run
from edge_melanoma.tflite.modes import Mode

DIFFERS = 1


def write_and_show(
    folder: Path | None,
    out: Path,
    *,
    mode: Mode | None,
    crop: Crop,
    with_float16: bool,
    with_map: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Write the bundle of a run and print a row a model."""
    reporter = TerminalReporter()
    refuse_full_folder(out, what="bundle", force=force)
    refuse_unwritable(out / SUMS)
    run = bundled_run() if is_bundled(folder) else find_run(folder)
    model = choose_int8_export(run, mode)
    reporter.say(f"Bundling {model.path}")
    float16 = find_or_convert_float16(run, with_map=with_map) if with_float16 else None
    written = write_bundle(bundle_files(run, model, float16=float16, crop=crop), out, force=force)
    told = {
        "schema": 1,
        "bundle": str(written.folder),
        "files": written.files,
        "size_bytes": written.size_bytes,
        "models": written.info["models"],
    }
    if as_json:
        print(json.dumps(told, indent=2))
    else:
        _show(told)


def verify_and_show(folder: Path, *, as_json: bool) -> None:
    """Check a bundle, print what differs, and leave with 1 if anything does."""
    checked = check_bundle(folder)
    if as_json:
        print(json.dumps(checked.as_dict(), indent=2))
    else:
        console = results_console(width=160)
        for finding in checked.findings:
            console.print(str(finding), highlight=False, markup=False, soft_wrap=True)
        verdict = f"{len(checked.findings)} differ" if checked.findings else "all as stated"
        console.print(
            f"{folder}: {checked.files} files, {checked.models} models, {checked.pictures} "
            f"pictures: {verdict}.",
            highlight=False,
            soft_wrap=True,
        )
    if checked.findings:
        raise typer.Exit(DIFFERS)


def _show(told: Mapping[str, Any]) -> None:
    table = Table(title="Models for apps")
    for column in ("file", "bytes", "input", "malignant from", "sha256"):
        table.add_column(column)
    for model in told["models"]:
        integer = model["threshold"]["integer"]
        shown = f"{model['threshold']['float']:.4f}"
        table.add_row(
            model["file"],
            f"{model['size_bytes']:,}",
            f"{model['input']['dtype']}, {model['input']['integer_rule']}",
            shown if integer is None else f"{shown}, integer {integer}",
            model["sha256"][:16],
        )
    console = results_console(width=140)
    console.print(table)
    console.print(
        f"{told['bundle']}: {told['files']} files, {told['size_bytes']:,} bytes. Check them with: "
        f"edge-melanoma android --verify {told['bundle']}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
