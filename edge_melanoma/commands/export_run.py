"""What `export` and `demo` do: convert, and say what was written."""

from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from edge_melanoma.converters.export import export_run
from edge_melanoma.converters.settings import ExportSettings
from edge_melanoma.machine.terminal import TerminalReporter, results_console
from edge_melanoma.runs.bundled import find_run_or_bundled
from edge_melanoma.runs.folders import hold_run, refuse_unwritable
from edge_melanoma.runs.models import MANIFEST, ConvertedModel
from edge_melanoma.runs.pictures import read_run_records
from edge_melanoma.tflite.modes import Mode
from edge_melanoma.training.activations import default_cache_folder


def export_and_show(
    folder: Path | None,
    modes: tuple[Mode, ...],
    *,
    settings: ExportSettings,
    cache_folder: Path | None = None,
    force: bool,
) -> list[ConvertedModel]:
    """Export a run, print a row a file, and return the files."""
    reporter = TerminalReporter()
    settings.refuse_contradictions(modes)
    run = find_run_or_bundled(folder)
    names = ", ".join(mode.value for mode in modes)
    reporter.say(f"Converting {run.folder} to {names}")
    needs_data = any(mode.rounds_weights for mode in modes)
    with hold_run(run.folder):
        refuse_unwritable(run.exports_folder / MANIFEST)
        models = export_run(
            run,
            modes,
            records=read_run_records(run) if needs_data else (),
            settings=settings,
            cache_folder=cache_folder or default_cache_folder(),
            force=force,
        )
        written = list(models)
    console = results_console(width=160)
    console.print(_table(written))
    for model in written:
        console.print(str(model.path), highlight=False, soft_wrap=True)
        for line in _explain(model):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    return written


def _explain(model: ConvertedModel) -> Iterator[str]:
    """Where a file decides, what was done for it beyond its mode, and what that cost."""
    point = model.manifest.get("operating_point")
    if point is not None:
        low, high = point["recall_interval"]
        integer = "" if point["integer"] is None else f", integer {point['integer']}"
        yield (
            f"  Malignant from {point['threshold']:.4f}{integer}: recall {point['recall']:.4f} "
            f"({low:.4f} .. {high:.4f}), specificity {point['specificity']:.4f} on validation, "
            f"{point['malignant']} malignant and {point['benign']} benign images."
        )
    steps = model.manifest.get("float_layers")
    if steps:
        first, last = steps[0], steps[-1]
        names = ", ".join(last["float_layers"]) or "none"
        yield (
            f"  Kept in float: {names}. Recall drop on validation {first['recall_drop']:.4f} -> "
            f"{last['recall_drop']:.4f}, size {first['size_bytes']:,} -> {last['size_bytes']:,} "
            f"bytes; {first['cpu_ms']:.2f} -> {last['cpu_ms']:.2f} CPU ms a picture."
        )
    if "best_epoch" in model.manifest:
        yield (
            f"  Tuned after {model.manifest['cached_up_to']}: epoch {model.manifest['best_epoch']} "
            f"of {model.manifest['tuning']['epochs']} kept (0 is the start)."
        )


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
