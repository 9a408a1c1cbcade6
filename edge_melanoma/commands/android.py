"""edge-melanoma android: the drop-in bundle for apps, and the check of one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from typer import Option

from edge_melanoma.commands.options import Force, JsonFile, RunArgument
from edge_melanoma.data.crops import Crop
from edge_melanoma.machine.command_line import ADVANCED
from edge_melanoma.machine.files import write_result
from edge_melanoma.machine.terminal import next_lines, print_lines, print_table, results_console

DIFFERS = 1
FINDING = "{file}: {stage}: expected {expected}, found {found}."


def command(
    run: RunArgument = None,
    out: Annotated[Path, Option(metavar="DIR", help="Where the bundle is written.")] = Path(
        "android_assets"
    ),
    float16: Annotated[
        bool,
        Option(
            "--float16",
            help="Add melanoma_float16.tflite: the run's export, or converted now from its "
            "weights.",
        ),
    ] = False,
    with_map: Annotated[
        bool,
        Option(
            "--with-map",
            rich_help_panel=ADVANCED,
            help="Like --float16, with a second output class_activation_map (1, 7, 7): where the "
            "network looked.",
        ),
    ] = False,
    crop: Annotated[
        Crop,
        Option(
            rich_help_panel=ADVANCED,
            help="What of a photograph the app resizes: the whole frame, as in training, or its "
            "centre square.",
        ),
    ] = Crop.NONE,
    mode: Annotated[
        str | None,
        Option(
            metavar="int8|int8-qat",
            show_default="int8-qat where there is one",
            rich_help_panel=ADVANCED,
            help="Which of the run's int8 exports.",
        ),
    ] = None,
    force: Force = False,
    verify: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            help="Write nothing: check the bundle in DIR, name the first stage that differs for "
            "each file and picture, and exit with 1 if one does.",
        ),
    ] = None,
    json: JsonFile = None,
) -> None:
    """Write what an app needs: models, golden vectors, Kotlin, Swift, a web page, hashes.

    Examples:
        edge-melanoma android bundled --out bundle
        edge-melanoma android --verify bundle
    """
    if verify is not None:
        _verify(verify, json)
        return
    from edge_melanoma.converters.phone.bundle import bundle_run
    from edge_melanoma.tflite.modes import parse_int8_mode

    told = bundle_run(
        run,
        out,
        mode=parse_int8_mode(mode),
        crop=crop,
        with_float16=float16 or with_map,
        with_map=with_map,
        force=force,
    )
    if not write_result(json, told):
        _show(told)


def _show(told: Mapping[str, Any]) -> None:
    table = Table("file", "bytes", "input", "malignant from", "sha256", title="Models for apps")
    for model in told["models"]:
        integer = model["threshold"]["integer"]
        shown = f"{model['threshold']['float']:.4f}"
        shown += "" if integer is None else f", integer {integer}"
        taken = f"{model['input']['dtype']}, {model['input']['integer_rule']}"
        size = f"{model['size_bytes']:,}"
        table.add_row(model["file"], size, taken, shown, model["sha256"][:16])
    console = results_console(width=140)
    print_table(console, table)
    print_lines(
        console,
        f"{told['files']} files, {told['size_bytes']:,} bytes",
        *next_lines(told["bundle"], command=("android", "--verify", told["bundle"])),
    )


def _verify(folder: Path, json: Path | None) -> None:
    from edge_melanoma.converters.phone.check import check_bundle

    checked = check_bundle(folder)
    if not write_result(json, checked):
        findings = map(FINDING.format_map, checked["findings"])
        verdict = f"{len(checked['findings'])} differ" if checked["findings"] else "all as stated"
        told = (
            f"{folder}: {checked['files']} files, {checked['models']} models, "
            f"{checked['pictures']} pictures: {verdict}."
        )
        print_lines(results_console(width=160), *findings, told)
    if checked["findings"]:
        raise typer.Exit(DIFFERS)
