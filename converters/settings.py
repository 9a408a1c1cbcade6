"""What a person may choose of an export, and what its child process is given and gives back."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_melanoma.errors import EdgeMelanomaError, MissingExtraError
from edge_melanoma.tflite.modes import Backend, Correction, InputOutput, Mode, Output

if TYPE_CHECKING:
    from edge_melanoma.converters.calibration import CalibrationSet
    from edge_melanoma.converters.layer_errors import LayerError


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningSettings:
    """How int8-qat is tuned. A higher rate moves the scores away from those that are to be kept."""

    epochs: int = 3
    learning_rate: float = 1e-5
    batch_size: int = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSettings:
    """The choices of one export; `max_recall_drop` is a share of the malignant images.

    Without `calibration_images` their number is that of `draw_calibration_set`. `views` is not
    chosen: it is the run's.
    """

    io: InputOutput = InputOutput.INT8
    output: Output = Output.PROBABILITY
    backend: Backend = Backend.CONVERTER
    correction: Correction = Correction.LAYERWISE
    calibration_images: int | None = None
    seed: int = 0
    max_recall_drop: float | None = None
    with_map: bool = False
    deterministic: bool = False
    tuning: TuningSettings = field(default_factory=TuningSettings)
    views: int = 1

    def refuse_contradictions(self, modes: Collection[Mode]) -> None:
        """Raise for choices that have no effect, exclude each other, or cannot be made here."""
        lacks_int8 = not any(mode.is_full_int8 for mode in modes)
        asks_for_output = self.output is not Output.PROBABILITY
        limits_drop, drop = self.max_recall_drop is not None, self.max_recall_drop or 0.0
        by_litert = self.backend is Backend.LITERT
        absent = "is for the int8 model, which is not among those asked for; add --quantize int8."
        contradictions = (
            (lacks_int8 and self.io is not InputOutput.INT8, f"--io {self.io} {absent}"),
            (lacks_int8 and asks_for_output, f"--output {self.output} {absent}"),
            (
                asks_for_output and self.io is InputOutput.FLOAT32,
                f"--output {self.output} needs an integer input; use --io int8 or --io uint8.",
            ),
            (
                by_litert and self.output is Output.FLOAT32,
                "--output float32 is made by --backend converter only; choose that, or "
                "--output logit.",
            ),
            (
                self.with_map and (by_litert or Mode.FLOAT16 not in modes),
                "--with-map is for the float16 model of --backend converter; add "
                "--quantize float16 and leave --backend out.",
            ),
            (
                limits_drop and (asks_for_output or Mode.INT8 not in modes),
                "--max-recall-drop is for the int8 model with --output probability; "
                "add --quantize int8 and leave --output out.",
            ),
            (
                not 0 <= drop < 1,
                f"--max-recall-drop is {drop:g}; expected a share from 0 up to 1, such as 0.005.",
            ),
        )
        for is_made, sentence in contradictions:
            if is_made:
                raise EdgeMelanomaError(sentence)
        needed = (
            (by_litert, "litert-quantizer", "litert", f"--backend {self.backend}"),
            (
                Mode.INT8_QAT in modes,
                "tensorflow-model-optimization",
                "train",
                f"--quantize {Mode.INT8_QAT}",
            ),
        )
        for is_needed, package, extra, purpose in needed:
            if is_needed and find_spec(package.replace("-", "_")) is None:
                raise MissingExtraError.for_package(package, extra=extra, purpose=purpose)

    def of_mode(self, mode: Mode) -> dict[str, Any]:
        """The part that decides the bytes of the file in `mode`, for its manifest."""
        told: dict[str, Any] = {
            "mode": mode.value,
            "io": self.io.value if mode.is_full_int8 else InputOutput.FLOAT32.value,
            "output_kind": self.output.value if mode.is_full_int8 else Output.FLOAT32.value,
            "backend": self.backend_of(mode).value,
            "bias_correction": self.correction_of(mode),
        }
        if mode is Mode.INT8:
            told["max_recall_drop"] = self.max_recall_drop
        if mode is Mode.INT8_QAT:
            told["tuning"] = asdict(self.tuning)
        if self.views > 1:
            told["views"] = self.views
        flags = {"deterministic": self.deterministic, "with_map": self.has_map(mode)}
        return told | {name: True for name, is_set in flags.items() if is_set}

    def options(self) -> dict[str, Any]:
        """The same by the names of the command's options; `views` is none."""
        told = asdict(self)
        tuning = told.pop("tuning")
        del told["views"]
        return told | {
            "bias_correction": told.pop("correction"),
            "qat_epochs": tuning["epochs"],
            "qat_learning_rate": tuning["learning_rate"],
        }

    def has_map(self, mode: Mode) -> bool:
        """Whether the file in `mode` shows where it looked too: float16 alone can."""
        return self.with_map and mode is Mode.FLOAT16

    def backend_of(self, mode: Mode) -> Backend:
        """Float files and trained int8 are the converter's whatever was asked for."""
        if mode in {Mode.FLOAT32, Mode.INT8_QAT}:
            return Backend.CONVERTER
        return self.backend

    def correction_of(self, mode: Mode) -> str:
        """Whose rounding every layer's bias makes up for."""
        if self.correction is Correction.NONE and mode is not Mode.INT8_QAT:
            return "none"
        if mode.is_full_int8:
            return "weights and activations"
        return "weights" if mode.rounds_weights else "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All that the child process of an export needs; `modes` are those that are to be made."""

    folder: Path
    modes: tuple[Mode, ...]
    settings: ExportSettings
    calibration: "CalibrationSet | None"
    checkpoint_folder: Path
    cache_folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """A .tflite file, what its manifest says of its making, and its layers' errors in int8."""

    data: bytes
    notes: dict[str, Any] = field(default_factory=dict)
    layer_errors: "tuple[LayerError, ...]" = ()
    history: tuple[dict[str, float | int | str], ...] = ()
    float_layers: tuple[str, ...] = ()
