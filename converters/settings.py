"""What a person may choose of an export, and which choices go together."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Any

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.tflite.modes import Backend, Correction, InputOutput, Mode, Output


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningSettings:
    """How int8-qat is tuned. A higher rate moves the scores away from those that are to be kept."""

    epochs: int = 3
    learning_rate: float = 1e-5
    batch_size: int = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSettings:
    """The choices of one export; `max_recall_drop` is a share of the malignant images.

    Without `calibration_images` their number is that of `draw_calibration_set`.
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

    def refuse_contradictions(self, modes: Collection[Mode]) -> None:
        """Raise for choices that would have no effect or exclude each other.

        Raises:
            EdgeMelanomaError: the first one found.
        """
        has_int8 = any(mode.is_full_int8 for mode in modes)
        for option, value, default in (
            ("--io", self.io, InputOutput.INT8),
            ("--output", self.output, Output.PROBABILITY),
        ):
            if value is not default and not has_int8:
                raise EdgeMelanomaError(
                    f"{option} {value} is for the int8 model, which is not among those asked for; "
                    f"add --quantize int8."
                )
        if self.io is InputOutput.FLOAT32 and self.output is not Output.PROBABILITY:
            raise EdgeMelanomaError(
                f"--output {self.output} needs an integer input; use --io int8 or --io uint8."
            )
        if self.output is Output.FLOAT32 and self.backend is Backend.LITERT:
            raise EdgeMelanomaError(
                "--output float32 is made by --backend converter only; choose that, or "
                "--output logit."
            )
        if self.with_map and (Mode.FLOAT16 not in modes or self.backend is Backend.LITERT):
            raise EdgeMelanomaError(
                "--with-map is for the float16 model of --backend converter; add "
                "--quantize float16 and leave --backend out."
            )
        if self.max_recall_drop is None:
            return
        if Mode.INT8 not in modes or self.output is not Output.PROBABILITY:
            raise EdgeMelanomaError(
                "--max-recall-drop is for the int8 model with --output probability; "
                "add --quantize int8 and leave --output out."
            )
        if not 0 <= self.max_recall_drop < 1:
            raise EdgeMelanomaError(
                f"--max-recall-drop is {self.max_recall_drop:g}; expected a share from 0 up to 1, "
                f"such as 0.005."
            )

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
        if self.deterministic:
            told["deterministic"] = True
        if self.has_map(mode):
            told["with_map"] = True
        return told

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
