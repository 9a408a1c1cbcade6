"""edge-melanoma export: .tflite files from a run, each audited, with its manifest beside it."""

from typing import Annotated

import typer

from edge_melanoma.commands.options import Force, RunArgument, Seed
from edge_melanoma.converters.modes import Correction, InputOutput

NAME = "export"


def command(
    run: RunArgument = None,
    quantize: Annotated[
        list[str] | None,
        typer.Option(
            "--quantize",
            metavar="none|float16|dynamic|int8|int16x8|all",
            help="May be given several times; int8 if not given. float32 is always written too: "
            "it shows what conversion alone costs.",
        ),
    ] = None,
    io: Annotated[
        InputOutput,
        typer.Option(
            "--io",
            help="Input and output type of the int8 model: int8 takes pixel - 128, "
            "uint8 takes raw RGB bytes.",
        ),
    ] = InputOutput.INT8,
    calibration_images: Annotated[
        int,
        typer.Option(
            "--calibration-images", metavar="N", help="Of the training side, half a class."
        ),
    ] = 200,
    bias_correction: Annotated[
        Correction,
        typer.Option(
            "--bias-correction",
            help="Make up for what rounding does to every layer's mean, or leave it to the stock "
            "converter, to compare.",
        ),
    ] = Correction.LAYERWISE,
    seed: Seed = 0,
    force: Force = False,
) -> None:
    """Convert a run and read every file back: an int8 export that is not wholly int8 is refused."""
    from edge_melanoma.commands.export_run import export_and_show
    from edge_melanoma.converters.modes import Mode, parse_modes
    from edge_melanoma.errors import EdgeMelanomaError

    modes = parse_modes(quantize or [Mode.INT8.value])
    if io is not InputOutput.INT8 and Mode.INT8 not in modes:
        raise EdgeMelanomaError(
            f"--io {io} is for the int8 model, which is not among those asked for; "
            f"add --quantize int8."
        )
    export_and_show(
        run,
        modes,
        io=io,
        calibration_images=calibration_images,
        seed=seed,
        force=force,
        correction=bias_correction,
    )
