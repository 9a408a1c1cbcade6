"""edge-melanoma demo: everything once, on generated pictures, offline."""

from pathlib import Path
from typing import Annotated

from typer import Option

from edge_melanoma.commands.options import Seed
from edge_melanoma.machine.terminal import (
    TerminalReporter,
    next_lines,
    print_lines,
    results_console,
)


def command(
    out: Annotated[Path, Option(metavar="DIR", help="A new or empty folder for all of it.")] = Path(
        "demo"
    ),
    count: Annotated[int, Option(min=60, help="Generated pictures.")] = 600,
    weights: Annotated[
        str | None,
        Option(
            metavar="NAME|FILE",
            show_default="imagenet if Keras has it on this machine, else none",
            help="Where the network starts from: imagenet, none, or a file of Keras weights.",
        ),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Draw lesion pictures, train on them, export int8 and prove parity, in minutes.

    The figures are about drawings: they show that the tool works, and nothing about patients.

    Examples:
        edge-melanoma demo
        edge-melanoma demo --out demo --count 120
    """
    from edge_melanoma.benchmarks.bench import run_bench
    from edge_melanoma.commands.export import export_and_show
    from edge_melanoma.converters.export import path_of
    from edge_melanoma.converters.settings import ExportSettings
    from edge_melanoma.data.phantoms import write_phantoms
    from edge_melanoma.network.recipes import Variant
    from edge_melanoma.network.starting_weights import cached_imagenet_weights
    from edge_melanoma.runs.models import open_run
    from edge_melanoma.tflite.modes import Mode, parse_modes
    from edge_melanoma.training.material import TrainingSettings
    from edge_melanoma.training.session import train_variants

    reporter = TerminalReporter()
    start = weights or str(cached_imagenet_weights() or "none")
    if start == "none":
        reporter.say(
            "Without ImageNet weights: all layers are trained from random ones. "
            "Enough for drawings, not for photographs; --weights imagenet downloads them."
        )
    data = out / "generated phantoms"
    reporter.say(f"Drawing {count} lesion pictures into {data}: generated, not photographs")
    write_phantoms(data, count=count, seed=seed)
    variant = Variant.SCRATCH if start == "none" else Variant.FROZEN
    settings = TrainingSettings(variant=variant, weights=start, seed=seed)
    (folder,) = train_variants(
        [data],
        [settings],
        out=out / "run",
        cache_folder=out / "activations",
        options={"data": [data], "weights": start, "seed": seed},
    )
    export_and_show(
        folder, parse_modes([Mode.INT8.value]), settings=ExportSettings(seed=seed), force=False
    )
    report = run_bench(folder)
    images = report.dataset["images"]
    print(f"One flip among {images} generated pictures is {1 / images:.1%} of them.")
    command = ("android", folder, "--out", out / "bundle")
    file = path_of(open_run(folder), Mode.INT8)
    print_lines(results_console(width=160), *next_lines(file, command=command, word="Model"))
