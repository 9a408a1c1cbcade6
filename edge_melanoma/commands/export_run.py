"""What `export` and `demo` do: convert, and say what was written."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from edge_melanoma.artifacts import ConvertedModel, find_run
from edge_melanoma.converters.modes import Correction, InputOutput, Mode
from edge_melanoma.converters.post_training import export_run
from edge_melanoma.progress import TerminalReporter
from edge_melanoma.run_data import read_run_records


def export_and_show(
    folder: Path | None,
    modes: tuple[Mode, ...],
    *,
    io: InputOutput,
    calibration_images: int,
    seed: int,
    force: bool,
    correction: Correction = Correction.LAYERWISE,
) -> list[ConvertedModel]:
    """Export a run, print a row a file, and return the files."""
    reporter = TerminalReporter()
    run = find_run(folder)
    names = ", ".join(mode.value for mode in modes)
    reporter.say(f"Converting {run.folder} to {names}")
    needs_data = any(mode.rounds_weights for mode in modes)
    models = export_run(
        run,
        modes,
        records=read_run_records(run) if needs_data else (),
        io=io,
        calibration_images=calibration_images,
        seed=seed,
        force=force,
        correction=correction,
    )
    written = list(models)
    console = Console(width=None if Console().is_terminal else 160)
    console.print(_table(written))
    for model in written:
        console.print(str(model.path), highlight=False, soft_wrap=True)
    return written


def _table(models: list[ConvertedModel]) -> Table:
    table = Table(title="Exported and audited")
    for column in ("mode", "input", "output", "size MB", "calibration images", "sha256"):
        table.add_column(column)
    for model in models:
        calibration = model.manifest["calibration"]
        table.add_row(
            model.mode,
            _describe_end(model.manifest["input"]),
            _describe_end(model.manifest["output"]),
            f"{model.size_bytes / 1e6:.2f}",
            f"{calibration['images']}" if calibration else "none needed",
            model.sha256[:16],
        )
    return table


def _describe_end(end: dict[str, object]) -> str:
    if end["scale"] == 0:
        return str(end["dtype"])
    return f"{end['dtype']}, scale {end['scale']:.6f}, zero point {end['zero_point']}"
