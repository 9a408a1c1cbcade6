"""edge-melanoma export: .tflite files from a run, each audited, with its manifest beside it."""

from pathlib import Path
from typing import Annotated

import typer

from edge_melanoma.commands.options import Deterministic, Force, RunArgument, Seed
from edge_melanoma.tflite.modes import Backend, Correction, InputOutput, Output

NAME = "export"


def command(
    run: RunArgument = None,
    quantize: Annotated[
        list[str] | None,
        typer.Option(
            "--quantize",
            metavar="none|float16|dynamic|int8|int8-qat|int16x8|all",
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
    output: Annotated[
        Output,
        typer.Option(
            "--output",
            help="What the int8 model gives: P(malignant) in steps of 1/256, its logit in finer "
            "ones, or P of a float last layer.",
        ),
    ] = Output.PROBABILITY,
    backend: Annotated[
        Backend,
        typer.Option(
            "--backend",
            help="Who quantises: TensorFlow's converter, or LiteRT's quantizer (int8-qat is the "
            "converter's always).",
        ),
    ] = Backend.CONVERTER,
    max_recall_drop: Annotated[
        float | None,
        typer.Option(
            "--max-recall-drop",
            metavar="SHARE",
            help="Keep the layers that harm most in float until int8 loses no more than this on "
            "validation, such as 0.005.",
        ),
    ] = None,
    with_map: Annotated[
        bool,
        typer.Option(
            "--with-map",
            help="Give the float16 model a second output, class_activation_map (1, 7, 7): where it "
            "looked, in units of the logit.",
        ),
    ] = False,
    calibration_study: Annotated[
        bool,
        typer.Option(
            "--calibration-study",
            help="Write no export: repeat int8 with other calibration images and show how far "
            "recall and AUC move on validation.",
        ),
    ] = False,
    calibration_images: Annotated[
        int | None,
        typer.Option(
            "--calibration-images",
            metavar="N",
            help="Of the training side, half of each class; 200, or all that a smaller one has in "
            "equal number. A study tries this size too.",
        ),
    ] = None,
    bias_correction: Annotated[
        Correction,
        typer.Option(
            "--bias-correction",
            help="Make up for what rounding does to every layer's mean, or leave it to the stock "
            "converter, to compare.",
        ),
    ] = Correction.LAYERWISE,
    qat_epochs: Annotated[
        int, typer.Option("--qat-epochs", min=1, help="Of int8-qat; the best is kept.")
    ] = 3,
    qat_learning_rate: Annotated[
        float, typer.Option("--qat-learning-rate", min=0.0, help="Of int8-qat.")
    ] = 1e-5,
    cache_dir: Annotated[
        Path | None,
        typer.Option(
            "--cache-dir",
            metavar="DIR",
            help="Where int8-qat keeps activations; the user's cache folder.",
        ),
    ] = None,
    seed: Seed = 0,
    deterministic: Deterministic = False,
    force: Force = False,
) -> None:
    """Convert a run and read every file back: an int8 export that is not wholly int8 is refused."""
    from edge_melanoma.commands.calibration_study_run import study_and_show
    from edge_melanoma.commands.export_run import export_and_show
    from edge_melanoma.converters.settings import ExportSettings, TuningSettings
    from edge_melanoma.tflite.modes import Mode, parse_modes

    settings = ExportSettings(
        io=io,
        output=output,
        backend=backend,
        correction=bias_correction,
        calibration_images=calibration_images,
        seed=seed,
        deterministic=deterministic,
        max_recall_drop=max_recall_drop,
        with_map=with_map,
        tuning=TuningSettings(epochs=qat_epochs, learning_rate=qat_learning_rate),
    )
    modes = parse_modes(quantize or [Mode.INT8.value])
    if calibration_study:
        study_and_show(run, settings, modes=modes, force=force)
        return
    export_and_show(run, modes, settings=settings, cache_folder=cache_dir, force=force)
