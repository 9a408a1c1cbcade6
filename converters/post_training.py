"""Post-training conversion of a run: float32, float16, dynamic range, int8 and int16x8."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge_melanoma.artifacts import (
    SPLIT,
    ConvertedModel,
    TrainedModel,
    open_converted,
    open_run,
    read_json,
    sha256_of,
    write_atomically,
    write_json,
)
from edge_melanoma.child_process import run_in_child
from edge_melanoma.converters.calibration import CalibrationSet, draw_calibration_set
from edge_melanoma.converters.inspection import audit_model, inspect_model
from edge_melanoma.converters.modes import Correction, InputOutput, Mode
from edge_melanoma.environment import describe_environment
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.images import RESIZE_ID
from edge_melanoma.lesions import LesionRecord


def export_run(
    run: TrainedModel,
    modes: tuple[Mode, ...],
    *,
    records: tuple[LesionRecord, ...],
    io: InputOutput,
    calibration_images: int,
    seed: int,
    force: bool,
    correction: Correction = Correction.LAYERWISE,
) -> Iterator[ConvertedModel]:
    """Convert, read back, audit and write one file and manifest a mode, `records` calibrating.

    A file that was made with the same settings from the same weights is kept.

    Raises:
        EdgeMelanomaError: a file of other settings is there and `force` is off; an audit failed.
    """
    calibration = None
    if any(mode.rounds_weights for mode in modes):
        split = read_json(run.folder / SPLIT)
        calibration = draw_calibration_set(
            records, split=split, images=calibration_images, seed=seed
        )
    orders = {mode: _order(run, mode, io, calibration, correction) for mode in modes}
    missing = tuple(m for m in modes if not _is_there(run, m, orders[m], force=force))
    start = time.perf_counter()
    converted = (
        run_in_child(_convert, run.folder, missing, io, calibration, correction) if missing else {}
    )
    seconds = (time.perf_counter() - start) / max(1, len(missing))
    for mode in modes:
        if mode in converted:
            _write(run, mode, converted[mode], orders[mode], io=io, seconds=seconds)
        yield open_converted(path_of(run, mode))


def bias_correction_of(mode: Mode, correction: Correction = Correction.LAYERWISE) -> str:
    """Whose rounding every layer's bias makes up for, for the manifest."""
    if correction is Correction.NONE:
        return "none"
    if mode is Mode.INT8:
        return "weights and activations"
    return "weights" if mode.rounds_weights else "none"


def path_of(run: TrainedModel, mode: Mode) -> Path:
    """Where a run's export in one mode lies."""
    return run.exports_folder / f"model_{mode.value}.tflite"


def _convert(
    folder: Path,
    modes: tuple[Mode, ...],
    io: InputOutput,
    calibration: CalibrationSet | None,
    correction: Correction,
) -> dict[Mode, bytes]:
    """In a child process: a converter that crashes, or keeps its memory, takes nobody along."""
    from edge_melanoma.converters.tflite_export import convert_network
    from edge_melanoma.network import load_network

    network = load_network(open_run(folder))
    return {
        mode: convert_network(network, mode, io=io, calibration=calibration, correction=correction)
        for mode in modes
    }


def _order(
    run: TrainedModel,
    mode: Mode,
    io: InputOutput,
    calibration: CalibrationSet | None,
    correction: Correction,
) -> dict[str, Any]:
    """What decides the bytes of an export, as its manifest keeps it."""
    return {
        "mode": mode.value,
        "io": io.value if mode.is_full_int8 else InputOutput.FLOAT32.value,
        "variant": run.variant,
        "source_sha256": run.sha256,
        "calibration": calibration.as_dict() if calibration and mode.rounds_weights else None,
        "bias_correction": bias_correction_of(mode, correction),
    }


def _is_there(run: TrainedModel, mode: Mode, order: dict[str, Any], *, force: bool) -> bool:
    path = path_of(run, mode)
    if force or not path.exists():
        return False
    manifest = open_converted(path).manifest
    if any(manifest.get(key) != value for key, value in order.items()):
        raise EdgeMelanomaError(
            f"{path} was made with other settings; replace it with --force, or move it away."
        )
    return True


def _write(
    run: TrainedModel,
    mode: Mode,
    data: bytes,
    order: dict[str, Any],
    *,
    io: InputOutput,
    seconds: float,
) -> None:
    facts = inspect_model(data)
    audit_model(facts, mode=mode, io=io)
    path = path_of(run, mode)
    manifest = {
        "schema": 1,
        **order,
        "file": path.name,
        "sha256": sha256_of(data),
        "size_bytes": len(data),
        "resize": RESIZE_ID,
        "input": facts.input.as_dict() | {"shape": list(facts.input_shape), "colour": "RGB"},
        "output": facts.output.as_dict() | {"name": "p_malignant"},
        "threshold": run.threshold,
        "facts": asdict(facts),
        "seconds": seconds,
        "environment": describe_environment(),
    }
    # The model first: it may stand without a manifest, a manifest without its model may not.
    path.with_suffix(".json").unlink(missing_ok=True)
    write_atomically(path, data)
    write_json(path.with_suffix(".json"), manifest)
