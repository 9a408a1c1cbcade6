"""Models on disk, each with its manifest: run folders and .tflite files, opened with their hash."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_melanoma.data.images import IMAGE_SIZE
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import read_json, sha256_of
from edge_melanoma.tflite.ends import PLAIN, Ends
from edge_melanoma.tflite.inspection import inspect_model
from edge_melanoma.tflite.metadata import MODEL_INFO, Seal, read_model_info, read_seal
from edge_melanoma.tflite.verification import FILE_IDENTIFIER, verify_model

RUNS_FOLDER = Path("runs")
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
SPLIT = "split.json"
EVALUATION = "evaluation.json"
LARGEST_MODEL_BYTES = 128 * 2**20
CONVENTION = "convention"
"""Where a threshold is from that was chosen on no pictures."""

KERAS_SUFFIXES = frozenset({".h5", ".hdf5", ".keras"})


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

    @property
    def views(self) -> int:
        """Over how many flips and turns of a picture its score is the mean."""
        return int(self.manifest.get("recipe", {}).get("views", 1))

    @property
    def image_size(self) -> int:
        """The side in pixels at which its network sees a picture."""
        shape = self.manifest.get("recipe", {}).get("shape", {})
        return int(shape.get("image_size", IMAGE_SIZE))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedModel:
    """A .tflite file and its manifest, if it has one; `is_alone` if that is inside of it.

    `reading` is what a person says of one that has none.
    """

    path: Path
    mode: str
    data: bytes
    sha256: str
    manifest: Mapping[str, Any]
    is_alone: bool = False
    ends: Ends = PLAIN

    @property
    def is_vouched_for(self) -> bool:
        """Whether a hash says that the file is as it was written: its manifest's or its seal's."""
        return "sha256" in self.manifest or read_seal(self.data) is Seal.INTACT

    @property
    def size_bytes(self) -> int:
        """The file's size."""
        return len(self.data)


def find_run(folder: Path | None) -> TrainedModel:
    """The finished run at `folder`, or the newest below runs/, its hash verified.

    Raises:
        EdgeMelanomaError: no such run, an unfinished one, or weights that are not the manifest's.
    """
    manifests = sorted(RUNS_FOLDER.glob(f"*/{MANIFEST}"), key=lambda path: path.stat().st_mtime)
    if folder is None and not manifests:
        raise EdgeMelanomaError(
            f"There is no finished run in {RUNS_FOLDER}/; "
            f"train one with: edge-melanoma train --data DIR."
        )
    run = open_run(folder or manifests[-1].parent)
    refuse_without_pictures(run)
    return run


def open_run(folder: Path) -> TrainedModel:
    """A finished run whose weights are those of its manifest."""
    if folder.is_file() and folder.suffix in KERAS_SUFFIXES:
        raise EdgeMelanomaError(f"{folder} is a file of Keras and no run; {import_help(folder)}.")
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
    _refuse_nonsense(manifest, folder / MANIFEST, _RUN_FIELDS)
    sha256 = sha256_of(weights.read_bytes())
    if sha256 != manifest["files"][WEIGHTS]["sha256"]:
        raise EdgeMelanomaError(
            f"{weights} is not the file that its manifest describes (its sha256 differs); "
            f"restore it or train again."
        )
    return TrainedModel(
        folder=folder, variant=manifest["variant"], manifest=manifest, sha256=sha256
    )


def import_help(file: Path) -> str:
    """What to do with a file of Keras."""
    return f"import it first: edge-melanoma import {file} --out runs/{file.stem} --data DIR"


def refuse_without_pictures(run: TrainedModel) -> None:
    """Raise for a run that was imported without any.

    Raises:
        EdgeMelanomaError: what to do.
    """
    if "dataset" not in run.manifest:
        raise EdgeMelanomaError(
            f"{run.folder} was imported without pictures: it has none to calibrate with, to choose "
            f"a threshold on or to be tested on; import it again with --data DIR --force."
        )


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


def open_converted(path: Path) -> ConvertedModel:
    """A .tflite file, checked against its manifest, or a bundle's model_info.json, beside it.

    Without these, what the file says of itself is its manifest.

    Raises:
        EdgeMelanomaError: no such file, no sound .tflite of a classifier, damaged since it was
            written, another file than its manifest describes, or one that says otherwise itself.
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
    if data[4:8] != FILE_IDENTIFIER:
        raise EdgeMelanomaError(
            f"{path} is not a .tflite file; expected one written by edge-melanoma export."
        )
    sha256 = sha256_of(data)
    manifest = _read_manifest_of(path, sha256)
    if "sha256" not in manifest and read_seal(data) is Seal.BROKEN:
        raise EdgeMelanomaError(
            f"{path} was damaged or changed after it was written (the sha256 inside of it "
            f"differs); export it again, or fetch it again."
        )
    verify_model(data, name=str(path))
    inside = _read_embedded(data, path)
    if manifest and inside:
        _refuse_contradiction(manifest, inside, path)
    stated = manifest or inside
    return ConvertedModel(
        path=path,
        mode=str(stated.get("mode", path.stem.removeprefix("model_"))),
        data=data,
        sha256=sha256,
        manifest=stated,
        is_alone=not manifest,
    )


def _read_embedded(data: bytes, path: Path) -> dict[str, Any]:
    """What a file says of itself, in the terms of an export's manifest; nothing if nothing."""
    info = read_model_info(data, name=str(path))
    if info is None:
        return {}
    dtype = inspect_model(data).input.dtype
    try:
        own = next(one for one in info["models"] if one["input"]["dtype"] == dtype)
        manifest = _in_terms_of_an_export(info, str(own["file"]))
    except (KeyError, TypeError, StopIteration, AttributeError) as error:
        raise EdgeMelanomaError(
            f"The {MODEL_INFO} inside {path} does not describe a model with an input of {dtype}; "
            f"export the file again."
        ) from error
    _refuse_nonsense_of_export(manifest, path)
    return manifest


def _refuse_contradiction(
    manifest: Mapping[str, Any], inside: Mapping[str, Any], path: Path
) -> None:
    """A threshold that was changed in one place alone would decide unseen."""
    beside = manifest.get("operating_point") or {"threshold": manifest.get("threshold")}
    for name in ("threshold", "integer"):
        stated, own = beside.get(name), inside["operating_point"][name]
        if stated is not None and own is not None and stated != own:
            raise EdgeMelanomaError(
                f"{path} says inside that its {name} is {own}, and its manifest says {stated}; "
                f"export the file again, or set it with edge-melanoma threshold --save."
            )


def _read_manifest_of(model: Path, sha256: str) -> dict[str, Any]:
    """The manifest of an export, else what a bundle's model_info.json says of it, else nothing."""
    beside = (model.with_suffix(".json"), model.with_name(MODEL_INFO))
    path = next((path for path in beside if path.is_file()), None)
    manifest = {} if path is None else _in_terms_of_an_export(read_json(path), model.name)
    if path is None or not manifest:
        return {}
    _refuse_nonsense_of_export(manifest, path)
    if manifest.get("sha256") != sha256:
        raise EdgeMelanomaError(
            f"{model} is not the file that {path.name} describes (its sha256 "
            f"differs); export it again."
        )
    return manifest


def _in_terms_of_an_export(content: dict[str, Any], file: str) -> dict[str, Any]:
    """What either kind of manifest says of one file; nothing where a bundle does not know it."""
    if "models" not in content:
        return content
    for model in content["models"]:
        if model["file"] == file:
            threshold = model["threshold"]
            point = {"threshold": threshold["float"], "integer": threshold["integer"]}
            mode = model.get("mode") or model["input"]["dtype"]
            own = {"mode": mode, "threshold": threshold["float"]}
            return {**model, **own, "operating_point": point}
    return {}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_number(value: Any) -> bool:
    is_plain = isinstance(value, int | float) and not isinstance(value, bool)
    return is_plain and abs(value) < 2**63 and math.isfinite(value)


def _is_probability(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


Fields = Mapping[tuple[str, ...], Callable[[Any], bool]]
"""The keys that lead to a field of a manifest, and what its value has to be."""

_POINT_FIELDS: Fields = {
    ("operating_point", "threshold"): _is_probability,
    ("operating_point", "integer"): lambda value: value is None or type(value) is int,
}
_RUN_FIELDS: Fields = {
    ("variant",): _is_text,
    ("files", WEIGHTS, "sha256"): _is_text,
    ("operating_point", "threshold"): _is_probability,
}
_EXPORT_FIELDS: Fields = {
    ("sha256",): _is_text,
    ("mode",): _is_text,
    ("source_sha256",): _is_text,
    ("threshold",): _is_probability,
    ("operating_point",): lambda value: value is None or isinstance(value, Mapping),
    ("output", "dtype"): _is_text,
    ("output", "name"): _is_text,
    ("output", "scale"): _is_number,
    ("output", "zero_point"): _is_number,
}


def _refuse_nonsense_of_export(manifest: Mapping[str, Any], path: Path) -> None:
    fields = {keys: check for keys, check in _EXPORT_FIELDS.items() if keys[0] in manifest}
    if manifest.get("operating_point") is not None:
        fields |= _POINT_FIELDS
    _refuse_nonsense(manifest, path, fields)


def _refuse_nonsense(content: Mapping[str, Any], path: Path, fields: Fields) -> None:
    """Hold a manifest against what is read out of it later, so that a mistake is named at once."""
    for keys, is_sound in fields.items():
        value: Any = content
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        if not is_sound(value):
            raise EdgeMelanomaError(
                f"{path} has nothing usable under {'.'.join(keys)}; restore the manifest, or make "
                f"it again."
            )
