"""What an export's child process is given and gives back; free of TensorFlow, as both read it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_melanoma.converters.calibration import CalibrationSet
from edge_melanoma.converters.layer_errors import LayerError
from edge_melanoma.converters.settings import ExportSettings
from edge_melanoma.tflite.modes import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All that the child process of an export needs; `modes` are those that are to be made."""

    folder: Path
    modes: tuple[Mode, ...]
    settings: ExportSettings
    calibration: CalibrationSet | None
    checkpoint_folder: Path
    cache_folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """A .tflite file, what its manifest says of its making, and its layers' errors in int8."""

    data: bytes
    notes: dict[str, Any] = field(default_factory=dict)
    layer_errors: tuple[LayerError, ...] = ()
    history: tuple[dict[str, float | int | str], ...] = ()
    float_layers: tuple[str, ...] = ()
