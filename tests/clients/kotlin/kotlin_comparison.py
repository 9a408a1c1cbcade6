"""What Python gives for the odd pictures, and how the Kotlin's outputs compare with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kotlin_compiler import HERE
from kotlin_pictures import odd_pictures, write_decoded, write_index, write_picture

from edge_melanoma.data.crops import Crop
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.schemas import read_json
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.runtime.names import PACKAGE_OF_RUNTIME, Runtime

MODELS = {"int8": "melanoma_int8.tflite", "uint8": "melanoma_uint8.tflite"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The folders of a bundle that the run uses."""

    root: Path

    @property
    def assets(self) -> Path:
        """What an app ships."""
        return self.root / "app/src/main/assets"

    @property
    def test_assets(self) -> Path:
        """What its test on a device ships: golden/."""
        return self.root / "app/src/androidTest/assets"

    @property
    def crop(self) -> Crop:
        """Which part of a picture its models see."""
        return Crop(self._info["preprocessing"]["crop"])

    def threshold(self, model: str) -> int:
        """The operating point on the integers of a model."""
        entries = {entry["file"]: entry for entry in self._info["models"]}
        return int(entries[MODELS[model]]["threshold"]["integer"])

    def refuse_without_models(self) -> None:
        """Say how to make what the command `android` writes.

        Raises:
            EdgeMelanomaError: it is missing.
        """
        if not self._info_path.is_file():
            raise EdgeMelanomaError(
                f"{self.root} holds no models; make them with "
                f"edge-melanoma android bundled --out {self.root} --force."
            )

    @property
    def _info_path(self) -> Path:
        return self.assets / "model_info.json"

    @property
    def _info(self) -> dict[str, Any]:
        return read_json(self._info_path)


def write_pictures(bundle: Bundle, folder: Path) -> dict[str, list[int]]:
    """Put the pictures into `folder`; returns each model's integers for them, in their order."""
    folder.mkdir()
    crop = bundle.crop
    write_decoded(folder / "decoded", sorted((bundle.test_assets / "golden").glob("*.jpg")))
    sessions = {model: _open(bundle.assets / file) for model, file in MODELS.items()}
    integers: dict[str, list[int]] = {model: [] for model in MODELS}
    entries = []
    for picture in odd_pictures():
        entries.append(write_picture(folder, picture))
        pixels = picture.resized(crop=crop)
        for model, session in sessions.items():
            session.load_image(pixels)
            session.invoke()
            integers[model].append(int(session.raw_output()[0]))
    write_index(folder, entries)
    return integers


def compare(
    model: str, report: Mapping[str, Any], expected: list[int], *, threshold: int
) -> dict[str, object]:
    """One line of the table of clients."""
    outputs = report["outputs"][model]
    steps = [abs(a - b) for a, b in zip(outputs["integers"], expected, strict=True)]
    judged = zip(outputs["malignant"], outputs["refused"], expected, strict=True)
    decisions = [(said, q) for said, is_refused, q in judged if not is_refused]
    return {
        "client": "Kotlin on the JVM, LiteRT C library",
        "version": _versions(),
        "input": model,
        "pictures": len(expected),
        "equal": steps.count(0),
        "largest_difference_steps": max(steps),
        "decision_flips": sum(said != (q >= threshold) for said, q in decisions),
        "note": _note(report),
    }


def _note(report: Mapping[str, Any]) -> str:
    handed_over = int(report["decoded_otherwise"])
    return (
        f"shipped classes, stand-ins for Android's; 12 million pixels resized in "
        f"{report['milliseconds_12_megapixels']:.0f} ms"
    ) + f"; {handed_over} JPEG pictures handed over decoded" * (handed_over > 0)


def _open(path: Path) -> TFLiteSession:
    settings = SessionSettings(data=path.read_bytes(), name=path.name, runtime=Runtime.LITERT)
    return TFLiteSession(settings)


def _versions() -> str:
    kotlin = read_json(HERE / "package.json")["dependencies"]["kotlin-compiler"]
    package = PACKAGE_OF_RUNTIME[Runtime.LITERT]
    return f"Kotlin {kotlin}, {package} {version(package)}"
