"""A run's exports: each converted, read back, audited and written with its manifest beside it."""

import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edge_melanoma.converters.audit import LARGEST_INT8_BYTES, audit_model
from edge_melanoma.converters.calibration import CalibrationSet, draw_calibration_set
from edge_melanoma.converters.layer_errors import draw_layer_errors
from edge_melanoma.converters.model_info import describe_gate, embed_model_info
from edge_melanoma.converters.operating_points import (
    ValidationScores,
    complete_operating_point,
    forget_operating_point,
)
from edge_melanoma.converters.settings import Conversion, ExportSettings, Job
from edge_melanoma.data.images import RESIZE_ID
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine import files
from edge_melanoma.machine.environment import describe_determinism, describe_environment
from edge_melanoma.machine.processes import run_in_child
from edge_melanoma.machine.terminal import TerminalReporter
from edge_melanoma.network.recipes import Variant
from edge_melanoma.runs.converted import ConvertedModel, open_converted
from edge_melanoma.runs.folders import hold_run, refuse_unwritable
from edge_melanoma.runs.manifests import read_split
from edge_melanoma.runs.models import GATE, MANIFEST, TrainedModel
from edge_melanoma.runs.options import keep_options
from edge_melanoma.runs.own_files import remember_own
from edge_melanoma.runs.pictures import read_run_records
from edge_melanoma.runs.recorded_files import hashes_of
from edge_melanoma.tflite.inspection import inspect_model
from edge_melanoma.tflite.modes import Mode
from edge_melanoma.training.activations import default_cache_folder

UNFINISHED = "int8-qat.unfinished"
"""Below the exports: where a tuning that was cut off is gone on with."""


def export_run(
    run: TrainedModel,
    modes: tuple[Mode, ...],
    *,
    settings: ExportSettings,
    cache_folder: Path | None = None,
    force: bool,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> list[ConvertedModel]:
    """Convert, read back, audit and write one file and manifest a mode.

    A file that was made with the same settings from the same weights is kept. Each file gets an
    operating point of its own, if the run's validation pictures are there. `options` are those of
    the command, which the folder of the exports keeps.

    Raises:
        EdgeMelanomaError: a file of other settings is there and `force` is off; an audit failed.
    """
    settings.refuse_contradictions(modes)
    _refuse_imported(run, modes, settings)
    settings = replace(settings, views=run.views)
    with hold_run(run.folder):
        refuse_unwritable(run.exports_folder / MANIFEST)
        exported = _export(run, modes, settings, cache_folder or default_cache_folder(), force)
        models = list(exported)
        keep_options(run.exports_folder, "export", options)
        return models


def _refuse_imported(run: TrainedModel, modes: tuple[Mode, ...], settings: ExportSettings) -> None:
    """What is made for the networks of the recipes alone."""
    asked = {"--quantize int8-qat": Mode.INT8_QAT in modes, "--with-map": settings.with_map}
    for option, is_asked in asked.items():
        if is_asked and run.variant == Variant.IMPORTED:
            raise EdgeMelanomaError(
                f"{option} is for networks that were trained here, and {run.folder} was imported; "
                f"leave it out."
            )


def path_of(run: TrainedModel, mode: Mode) -> Path:
    """Where a run's export in one mode lies."""
    return run.exports_folder / f"model_{mode.value}.tflite"


def _export(
    run: TrainedModel,
    modes: tuple[Mode, ...],
    settings: ExportSettings,
    cache_folder: Path,
    force: bool,
) -> Iterator[ConvertedModel]:
    calibration = None
    if any(mode.rounds_weights for mode in modes):
        calibration = draw_calibration_set(
            read_run_records(run),
            split=read_split(run.folder),
            images=settings.calibration_images,
            seed=settings.seed,
            size=run.image_size,
        )
    origins = {mode: _origin(run, mode, settings, calibration) for mode in modes}
    missing = tuple(m for m in modes if not _is_there(run, m, origins[m], force=force))
    if force:
        shutil.rmtree(run.exports_folder / UNFINISHED, ignore_errors=True)
    job = Job(
        folder=run.folder,
        modes=missing,
        settings=settings,
        calibration=calibration,
        checkpoint_folder=run.exports_folder / UNFINISHED,
        cache_folder=cache_folder,
    )
    start = time.perf_counter()
    converted = run_in_child(_convert_in_child, job) if missing else {}
    seconds = (time.perf_counter() - start) / max(1, len(missing))
    scores = ValidationScores(run, TerminalReporter())
    for mode in modes:
        if mode in converted:
            _write(run, mode, converted[mode], origins[mode], settings, seconds=seconds)
        yield complete_operating_point(run, open_converted(path_of(run, mode)), scores)
    shutil.rmtree(run.exports_folder / UNFINISHED, ignore_errors=True)


def _convert_in_child(job: Job) -> Mapping[Mode, Conversion]:
    from edge_melanoma.converters.conversion import convert_modes

    return convert_modes(job)


def _origin(
    run: TrainedModel, mode: Mode, settings: ExportSettings, calibration: CalibrationSet | None
) -> dict[str, Any]:
    """What decides the bytes of an export, as its manifest keeps it."""
    return settings.of_mode(mode) | {
        "variant": run.variant,
        "source_sha256": run.sha256,
        "calibration": calibration.as_dict() if calibration and mode.rounds_weights else None,
        "gate_sha256": run.manifest["files"].get(GATE, {}).get("sha256"),
    }


def _is_there(run: TrainedModel, mode: Mode, origin: dict[str, Any], *, force: bool) -> bool:
    path = path_of(run, mode)
    if force or not path.exists():
        return False
    manifest = open_converted(path).manifest
    if any(manifest.get(key) != value for key, value in origin.items()):
        raise EdgeMelanomaError(
            f"{path} was made with other settings; replace it with --force, or move it away."
        )
    return True


def _write(
    run: TrainedModel,
    mode: Mode,
    conversion: Conversion,
    origin: dict[str, Any],
    settings: ExportSettings,
    *,
    seconds: float,
) -> None:
    data = conversion.data
    facts = inspect_model(data)
    audit_model(
        facts,
        mode=mode,
        io=settings.io,
        output=settings.output,
        float_layers=conversion.float_layers,
        data=data,
        # The limit is that of the recipes' width.
        largest_bytes=None if run.variant == Variant.IMPORTED else LARGEST_INT8_BYTES,
    )
    path = path_of(run, mode)
    data = embed_model_info(
        run, data, file=path.name, mode=mode.value, threshold=run.threshold, point=None
    )
    manifest = {
        "schema": 1,
        **origin,
        **conversion.notes,
        "file": path.name,
        "sha256": files.sha256_of(data),
        "size_bytes": len(data),
        "companions": hashes_of(path.parent, _write_companions(path, conversion)),
        "resize": RESIZE_ID,
        "input": facts.input.as_dict() | {"shape": list(facts.input_shape), "colour": "RGB"},
        "output": facts.output.as_dict() | {"name": facts.output_name},
        "gate": describe_gate(run, facts),
        "threshold": run.threshold,
        "operating_point": None,
        "facts": asdict(facts),
        "seconds": seconds,
        "determinism": describe_determinism(settings.seed) if settings.deterministic else None,
        "environment": describe_environment(),
    }
    files.write_together({path: data, path.with_suffix(".json"): files.json_text(manifest)})
    remember_own(manifest["sha256"])
    forget_operating_point(path)


def _write_companions(path: Path, conversion: Conversion) -> list[Path]:
    """The errors of the layers in int8, as a table and a picture, and the epochs of a tuning."""
    written: list[Path] = []
    if conversion.layer_errors:
        table, picture = path.with_suffix(".layers.csv"), path.with_suffix(".layers.png")
        files.write_atomically(table, files.rows_to_csv(list(map(asdict, conversion.layer_errors))))
        title = f"{path.name}: error of each layer against float32, on calibration images"
        draw_layer_errors(conversion.layer_errors, picture, title=title)
        written += [table, picture]
    if conversion.history:
        history = path.with_suffix(".history.csv")
        files.write_atomically(history, files.rows_to_csv(conversion.history))
        written.append(history)
    return written
