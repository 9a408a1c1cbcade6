"""edge-melanoma export: .tflite files from a run, each audited, with its manifest beside it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from rich.table import Table
from typer import Context, Option

from edge_melanoma.commands.options import Deterministic, Force, RunArgument, Seed
from edge_melanoma.converters.settings import ExportSettings, TuningSettings
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.command_line import ADVANCED, stated_options
from edge_melanoma.machine.terminal import (
    TerminalReporter,
    next_lines,
    print_lines,
    print_table,
    results_console,
)
from edge_melanoma.tflite.modes import Backend, Correction, InputOutput, Mode, Output, parse_modes


def command(
    context: Context,
    run: RunArgument = None,
    quantize: Annotated[
        list[str] | None,
        Option(
            metavar="MODE",
            autocompletion=lambda: ["none", *(mode.value for mode in Mode), "all"],
            show_default="int8",
            help="none, float16, dynamic, int8, int8-qat, int16x8 or all; may be repeated. float32 "
            "is always written too: it shows what conversion alone costs.",
        ),
    ] = None,
    io: Annotated[
        InputOutput,
        Option(
            help="Input and output type of the int8 model: int8 takes pixel - 128, uint8 takes "
            "raw RGB bytes.",
        ),
    ] = InputOutput.INT8,
    output: Annotated[
        Output,
        Option(
            metavar="KIND",
            rich_help_panel=ADVANCED,
            help="Output of the int8 model: the probability in steps of 1/256, its logit in finer "
            "steps, or float32 by a float last layer.",
        ),
    ] = Output.PROBABILITY,
    backend: Annotated[
        Backend,
        Option(
            rich_help_panel=ADVANCED,
            help="What quantises: TensorFlow's converter, or LiteRT's quantizer (extra litert; "
            "int8-qat is always the converter's).",
        ),
    ] = Backend.CONVERTER,
    max_recall_drop: Annotated[
        float | None,
        Option(
            metavar="SHARE",
            rich_help_panel=ADVANCED,
            help="Keep the most harmful layers in float until int8 loses at most this much recall "
            "on validation, such as 0.005.",
        ),
    ] = None,
    with_map: Annotated[
        bool,
        Option(
            "--with-map",
            rich_help_panel=ADVANCED,
            help="Give the float16 model a second output, class_activation_map (1, 7, 7): where "
            "the network looked, in units of the logit.",
        ),
    ] = False,
    calibration_images: Annotated[
        int | None,
        Option(
            metavar="N",
            rich_help_panel=ADVANCED,
            show_default="200, or all of a smaller set",
            help="Training pictures on which the int8 ranges are measured, half of each class.",
        ),
    ] = None,
    bias_correction: Annotated[
        Correction,
        Option(
            rich_help_panel=ADVANCED,
            help="layerwise: correct the shift that rounding gives to the mean of each layer; "
            "none: leave it, to compare.",
        ),
    ] = Correction.LAYERWISE,
    qat_epochs: Annotated[
        int,
        Option(
            min=1, rich_help_panel=ADVANCED, help="Epochs of int8-qat, of which the best is kept."
        ),
    ] = 3,
    qat_learning_rate: Annotated[
        float, Option(min=0.0, rich_help_panel=ADVANCED, help="Learning rate of int8-qat.")
    ] = 1e-5,
    cache_dir: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            rich_help_panel=ADVANCED,
            show_default="the user's cache folder",
            help="Where int8-qat keeps the outputs of the layers before the tuned ones.",
        ),
    ] = None,
    seed: Seed = 0,
    deterministic: Deterministic = False,
    force: Force = False,
) -> None:
    """Convert a run to .tflite files and audit each: int8 must be int8 throughout.

    Examples:
        edge-melanoma export --quantize int8
        edge-melanoma export runs/partial-1 --quantize float16 --quantize int8-qat
    """
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
    export_and_show(
        run,
        modes,
        settings=settings,
        cache_folder=cache_dir,
        force=force,
        options=stated_options(context),
    )


def export_and_show(
    folder: Path | None,
    modes: tuple[Mode, ...],
    *,
    settings: ExportSettings,
    cache_folder: Path | None = None,
    force: bool,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Export a run, and print a row a file and where each decides."""
    from edge_melanoma.converters.export import export_run
    from edge_melanoma.runs.bundled import find_run_or_bundled, is_bundled

    settings.refuse_contradictions(modes)
    if is_bundled(folder) and any(mode.rounds_weights for mode in modes):
        raise EdgeMelanomaError(
            "An integer export is calibrated on pictures that a run was trained on, which do not "
            "come with the model in the package; its own int8 file is written by: edge-melanoma "
            "android bundled --out DIR"
        )
    run = find_run_or_bundled(folder)
    TerminalReporter().say(f"Converting {run.folder} to {', '.join(modes)}")
    written = export_run(
        run, modes, settings=settings, cache_folder=cache_folder, force=force, options=options
    )
    columns = ("mode", "input", "output", "size MB", "calibration images", "sha256")
    table = Table(*columns, title="Exported and audited")
    for model in written:
        calibration = model.manifest["calibration"]
        table.add_row(
            model.mode,
            *(model.manifest[end]["dtype"] for end in ("input", "output")),
            f"{model.size_bytes / 1e6:.2f}",
            f"{calibration['images']}" if calibration else "-",
            model.sha256[:16],
        )
    console = results_console(width=160)
    print_table(console, table)
    for model in written:
        print_lines(console, *(f"{model.mode}: {line}" for line in _explain(model.manifest)))
    paths = [model.path for model in written]
    print_lines(console, *next_lines(*paths, command=("bench", run.folder)))


def _explain(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Where a file decides, what was done for it beyond its mode, and what that cost."""
    if point := manifest.get("operating_point"):
        low, high = point["recall_interval"]
        integer = "" if point["integer"] is None else f", integer {point['integer']}"
        yield (
            f"flagged from {point['threshold']:.4f}{integer}: recall {point['recall']:.3f} "
            f"({low:.3f} to {high:.3f}), specificity {point['specificity']:.3f} on "
            f"{point['malignant']} + {point['benign']} validation images"
        )
    if steps := manifest.get("float_layers"):
        first, last = steps[0], steps[-1]
        names = ", ".join(last["float_layers"]) or "none"
        yield (
            f"kept in float: {names}; recall drop on validation {first['recall_drop']:.4f} -> "
            f"{last['recall_drop']:.4f}, size {first['size_bytes']:,} -> {last['size_bytes']:,} "
            f"bytes; {first['cpu_ms']:.2f} -> {last['cpu_ms']:.2f} CPU ms a picture"
        )
    if manifest.get("best_epoch") == 0:
        yield (
            f"tuning did not help: none of {manifest['tuning']['epochs']} epochs was better than "
            f"the start, which is kept; this is int8 by its own calibration"
        )
    elif "best_epoch" in manifest:
        yield (
            f"tuned after {manifest['cached_up_to']}: epoch {manifest['best_epoch']} "
            f"of {manifest['tuning']['epochs']} kept"
        )
