"""What lies on disk: run folders, and models with their manifests.

Holds manifests against what is read out of them later, so that a mistake is named at once.

What lies beside a .tflite file and describes it: an export's manifest, or that of a bundle.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import read_json, sha256_of
from edge_melanoma.tflite.seal import Seal, read_seal, refuse_broken_seal
from edge_melanoma.tflite.verification import verify_model

Check = Callable[[Any], bool]


def check_run_manifest(manifest: Mapping[str, Any], path: Path, *, weights: str) -> None:
    """Raise where the manifest of a run lacks what every command needs, or has nonsense there.

    Raises:
        EdgeMelanomaError: the first such field.
    """
    _require(manifest, path, ("variant",), _is_text)
    _require(manifest, path, ("files", weights, "sha256"), _is_text)
    _require(manifest, path, ("operating_point", "threshold"), _is_probability)


def check_model_manifest(manifest: Mapping[str, Any], path: Path) -> None:
    """The same for the manifest beside a .tflite file; what is not there is not needed.

    Raises:
        EdgeMelanomaError: the first field with nonsense in it.
    """
    for keys, check in _MODEL_FIELDS.items():
        if keys[0] in manifest:
            _require(manifest, path, keys, check)
    point = manifest.get("operating_point")
    if point is not None:
        _require(manifest, path, ("operating_point", "threshold"), _is_probability)
        _require(manifest, path, ("operating_point", "integer"), _is_integer_or_none)


def _require(content: Any, path: Path, keys: tuple[str, ...], check: Check) -> None:
    for key in keys:
        content = content.get(key) if isinstance(content, Mapping) else None
    if not check(content):
        raise EdgeMelanomaError(
            f"{path} has nothing usable under {'.'.join(keys)}; restore the manifest, or make it "
            f"again."
        )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_number(value: Any) -> bool:
    is_plain = isinstance(value, int | float) and not isinstance(value, bool)
    return is_plain and abs(value) < 2**63 and math.isfinite(value)


def _is_probability(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_integer_or_none(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _is_mapping_or_none(value: Any) -> bool:
    return value is None or isinstance(value, Mapping)


_MODEL_FIELDS: dict[tuple[str, ...], Check] = {
    ("sha256",): _is_text,
    ("mode",): _is_text,
    ("source_sha256",): _is_text,
    ("threshold",): _is_probability,
    ("operating_point",): _is_mapping_or_none,
    ("output", "dtype"): _is_text,
    ("output", "name"): _is_text,
    ("output", "scale"): _is_number,
    ("output", "zero_point"): _is_number,
}


MODEL_INFO = "model_info.json"
"""In a bundle for apps: it describes all models beside it."""


def find_manifest(model: Path) -> Path | None:
    """The manifest of an export; else the model_info.json of a bundle; else none."""
    for path in (model.with_suffix(".json"), model.with_name(MODEL_INFO)):
        if path.is_file():
            return path
    return None


def manifest_of(file: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """What such a file's content says of one model, in the terms of an export's manifest.

    Nothing where a bundle does not know the file.
    """
    if "models" not in content:
        return dict(content)
    for model in content["models"]:
        if model["file"] == file:
            threshold = model["threshold"]
            point = {"threshold": threshold["float"], "integer": threshold["integer"]}
            own = {"mode": model["input"]["dtype"], "threshold": threshold["float"]}
            return {**model, **own, "operating_point": point}
    return {}


RUNS_FOLDER = Path("runs")
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
SPLIT = "split.json"
LARGEST_MODEL_BYTES = 128 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """A finished run: its weights and how they came about."""

    folder: Path
    variant: str
    manifest: Mapping[str, Any]
    sha256: str

    @property
    def weights_path(self) -> Path:
        """The weights, as safetensors."""
        return self.folder / WEIGHTS

    @property
    def exports_folder(self) -> Path:
        """Where the run's .tflite files are, each with its manifest."""
        return self.folder / "exports"

    @property
    def threshold(self) -> float:
        """The operating point, chosen on validation."""
        return float(self.manifest["operating_point"]["threshold"])


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedModel:
    """A .tflite file and its manifest, if it has one."""

    path: Path
    mode: str
    data: bytes
    sha256: str
    manifest: Mapping[str, Any]

    @property
    def is_vouched_for(self) -> bool:
        """Whether a hash says that the file is as it was written: its manifest's or its seal's."""
        return bool(self.manifest) or read_seal(self.data) is Seal.INTACT

    @property
    def size_bytes(self) -> int:
        """The file's size."""
        return len(self.data)


def find_run(folder: Path | None) -> TrainedModel:
    """The finished run at `folder`, or the newest below runs/, its hash verified.

    Raises:
        EdgeMelanomaError: no such run, an unfinished one, or weights that are not the manifest's.
    """
    if folder is None:
        return open_run(_newest_run())
    return open_run(folder)


def open_run(folder: Path) -> TrainedModel:
    """A finished run whose weights are those of its manifest."""
    if not folder.is_dir():
        raise EdgeMelanomaError(
            f"There is no run folder {folder}; train one with: edge-melanoma train --data DIR."
        )
    weights = folder / WEIGHTS
    if not (folder / MANIFEST).is_file() or not weights.is_file():
        raise EdgeMelanomaError(
            f"The run folder {folder} holds no trained model; "
            f"finish it with --resume or train again."
        )
    manifest = read_json(folder / MANIFEST)
    check_run_manifest(manifest, folder / MANIFEST, weights=WEIGHTS)
    sha256 = sha256_of(weights.read_bytes())
    if sha256 != manifest["files"][WEIGHTS]["sha256"]:
        raise EdgeMelanomaError(
            f"{weights} is not the file that its manifest describes (its sha256 differs); "
            f"restore it or train again."
        )
    return TrainedModel(
        folder=folder, variant=manifest["variant"], manifest=manifest, sha256=sha256
    )


def open_converted(path: Path) -> ConvertedModel:
    """A .tflite file, checked against its manifest, or a bundle's model_info.json, beside it.

    Raises:
        EdgeMelanomaError: no such file, no sound .tflite of a classifier, damaged since it was
            written, or another file than its manifest describes.
    """
    if not path.is_file():
        raise EdgeMelanomaError(
            f"There is no model file {path}; make one with edge-melanoma export."
        )
    if path.stat().st_size > LARGEST_MODEL_BYTES:
        raise EdgeMelanomaError(
            f"{path} has {path.stat().st_size} bytes; a model has at most {LARGEST_MODEL_BYTES}."
        )
    data = path.read_bytes()
    # A TFLite flatbuffer bears its identifier after the four bytes of the root offset.
    if data[4:8] != b"TFL3":
        raise EdgeMelanomaError(
            f"{path} is not a .tflite file; expected one written by edge-melanoma export."
        )
    manifest_path = find_manifest(path)
    manifest = manifest_of(path.name, read_json(manifest_path)) if manifest_path else {}
    sha256 = sha256_of(data)
    if manifest_path and manifest:
        check_model_manifest(manifest, manifest_path)
        if manifest.get("sha256") != sha256:
            raise EdgeMelanomaError(
                f"{path} is not the file that {manifest_path.name} describes (its sha256 "
                f"differs); export it again."
            )
    refuse_broken_seal(data, name=str(path))
    verify_model(data, name=str(path))
    mode = str(manifest.get("mode", path.stem.removeprefix("model_")))
    return ConvertedModel(path=path, mode=mode, data=data, sha256=sha256, manifest=manifest)


def open_exports(run: TrainedModel) -> list[ConvertedModel]:
    """A run's .tflite files by name, each checked against its manifest.

    Raises:
        EdgeMelanomaError: a file is not its manifest's, or is of other weights than the run's.
    """
    models = [open_converted(path) for path in sorted(run.exports_folder.glob("model_*.tflite"))]
    for model in models:
        if model.manifest.get("source_sha256", run.sha256) != run.sha256:
            raise EdgeMelanomaError(
                f"{model.path} was exported from other weights than the run's; "
                f"export it again with --force."
            )
    return models


def _newest_run() -> Path:
    manifests = sorted(RUNS_FOLDER.glob(f"*/{MANIFEST}"), key=lambda path: path.stat().st_mtime)
    if not manifests:
        raise EdgeMelanomaError(
            f"There is no finished run in {RUNS_FOLDER}/; "
            f"train one with: edge-melanoma train --data DIR."
        )
    return manifests[-1].parent
