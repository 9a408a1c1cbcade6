"""edge-melanoma android: the drop-in bundle for apps, and the check of one."""

from pathlib import Path
from typing import Annotated

import typer

from edge_melanoma.commands.options import Force, RunArgument
from edge_melanoma.data.crops import Crop

NAME = "android"


def command(
    run: RunArgument = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where the bundle is written.")
    ] = Path("android_assets"),
    float16: Annotated[
        bool,
        typer.Option(
            "--float16",
            help="Add melanoma_float16.tflite: the run's export, or converted now from its "
            "weights.",
        ),
    ] = False,
    with_map: Annotated[
        bool,
        typer.Option(
            "--with-map",
            help="Add it with a second output, class_activation_map (1, 7, 7): where it looked.",
        ),
    ] = False,
    crop: Annotated[
        Crop,
        typer.Option(
            "--crop",
            help="What of a photograph the app resizes: the whole frame, as in training, or its "
            "centre square.",
        ),
    ] = Crop.NONE,
    mode: Annotated[
        str | None,
        typer.Option(
            "--mode",
            metavar="int8|int8-qat",
            help="Which of the run's int8 exports; int8-qat where there is one.",
        ),
    ] = None,
    force: Force = False,
    verify: Annotated[
        Path | None,
        typer.Option(
            "--verify",
            metavar="DIR",
            help="Write nothing: check the bundle in DIR, name the first stage that differs for "
            "each file and picture, and exit with 1 if one does.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Write what an app needs: int8 and uint8 models, golden vectors, Kotlin, web page, hashes."""
    from edge_melanoma.commands.android_run import verify_and_show, write_and_show
    from edge_melanoma.tflite.modes import parse_int8_mode

    if verify is not None:
        verify_and_show(verify, as_json=json)
        return
    write_and_show(
        run,
        out,
        mode=parse_int8_mode(mode),
        crop=crop,
        with_float16=float16 or with_map,
        with_map=with_map,
        force=force,
        as_json=json,
    )
