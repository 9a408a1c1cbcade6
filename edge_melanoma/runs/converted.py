"""A .tflite file with what is stated of it, beside it or inside, opened and held against it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import sha256_of
from edge_melanoma.machine.schemas import read_json
from edge_melanoma.runs.manifests import ExportManifest
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.runs.own_files import is_own
from edge_melanoma.tflite.counts import LEAST_COUNTED
from edge_melanoma.tflite.ends import PLAIN, Ends
from edge_melanoma.tflite.gate import GateRule, read_rule
from edge_melanoma.tflite.inspection import ModelFacts, inspect_model
from edge_melanoma.tflite.metadata import (
    MODEL_INFO,
    ModelInfo,
    Seal,
    read_model_info,
    read_seal,
)
from edge_melanoma.tflite.modes import Mode
from edge_melanoma.tflite.verification import FILE_IDENTIFIER, verify_model

LARGEST_MODEL_BYTES = 128 * 2**20


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
        """Whether it was made here, or came with the package: anybody can write a seal."""
        return is_own(self.path, self.sha256)

    @property
    def promise(self) -> Mapping[str, Any] | None:
        """What its two thresholds keep, where it gives three answers."""
        promise: Mapping[str, Any] | None
        promise = (self.manifest.get("operating_point") or {}).get("promise")
        return promise

    @property
    def gate(self) -> GateRule | None:
        """How its second output tells what it can judge; none where it has no gate."""
        return read_rule(self.manifest.get("gate"), source=f"the manifest of {self.path}")

    @property
    def counts(self) -> Mapping[str, Any]:
        """What the counts of an app are held against.

        Raises:
            EdgeMelanomaError: the file has none.
        """
        block: Mapping[str, Any] | None = self.manifest.get("counts")
        if block is None:
            raise EdgeMelanomaError(
                f"{self.path} has no counts of validation pictures, which a file gets that has a "
                f"gate and {LEAST_COUNTED} such pictures or more; export it again where they are."
            )
        return block

    @property
    def size_bytes(self) -> int:
        """The file's size."""
        return len(self.data)


def open_exports(run: TrainedModel) -> list[ConvertedModel]:
    """A run's .tflite files by name, each checked against its manifest.

    Raises:
        EdgeMelanomaError: a file is not its manifest's, or is of other weights than the run's.
    """
    models = [open_converted(path) for path in sorted(run.exports_folder.glob("model_*.tflite"))]
    for model in models:
        if model.mode not in set(Mode):
            raise EdgeMelanomaError(
                f"{model.path} is of no known mode; expected one of {', '.join(Mode)} in its name. "
                f"Move it elsewhere."
            )
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
    info, inside = read_model_info(data, name=str(path)), {}
    if manifest or info:
        facts = inspect_model(data, name=str(path))
        inside = _read_embedded(info, facts, path) if info else {}
        _refuse_other_ends(manifest or inside, facts, path)
    _refuse_crossed(manifest or inside, path)
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


def _refuse_other_ends(stated: Mapping[str, Any], facts: ModelFacts, path: Path) -> None:
    """A scale that is not the file's would give other scores, unseen."""
    ends = {"input": facts.input.as_dict(), "output": facts.output.as_dict()}
    ends["output"]["name"] = facts.output_name
    for end, own in ends.items():
        for field, value in own.items():
            told = stated.get(end, {}).get(field, value)
            if told != value:
                raise EdgeMelanomaError(
                    f"{path} has an {end} with the {field} {value}, and its manifest says {told}; "
                    f"export the file again."
                )


def _read_embedded(info: Mapping[str, Any], facts: ModelFacts, path: Path) -> dict[str, Any]:
    """What a file says of itself, in the terms of an export's manifest."""
    dtype = facts.input.dtype
    own = next((one for one in info["models"] if one["input"]["dtype"] == dtype), None)
    if own is None:
        raise EdgeMelanomaError(
            f"The {MODEL_INFO} inside {path} does not describe a model with an input of {dtype}; "
            f"export the file again."
        )
    return _in_terms_of_an_export(info, own["file"])


def _refuse_contradiction(
    manifest: Mapping[str, Any], inside: Mapping[str, Any], path: Path
) -> None:
    """A threshold that was changed in one place alone would decide unseen."""
    beside = manifest.get("operating_point") or {"threshold": manifest.get("threshold")}
    within = inside["operating_point"]
    uppers = [(point.get("promise") or {}).get("upper") or {} for point in (beside, within)]
    pairs = [(name, beside.get(name), within[name]) for name in ("threshold", "integer")]
    pairs.append(("upper threshold", uppers[0].get("threshold"), uppers[1].get("threshold")))
    for name, stated, own in pairs:
        if stated is not None and own is not None and stated != own:
            raise EdgeMelanomaError(
                f"{path} says inside that its {name} is {own}, and its manifest says {stated}; "
                f"export the file again, or set it with edge-melanoma threshold --save."
            )


def _read_manifest_of(model: Path, sha256: str) -> dict[str, Any]:
    """The manifest of an export, else what a bundle's model_info.json says of it, else nothing."""
    path = model.with_suffix(".json")
    if path.is_file():
        manifest = read_json(path, ExportManifest)
    else:
        path = model.with_name(MODEL_INFO)
        info = read_json(path, ModelInfo) if path.is_file() else {"models": []}
        manifest = _in_terms_of_an_export(info, model.name)
    if not manifest:
        return {}
    if manifest.get("sha256") != sha256:
        raise EdgeMelanomaError(
            f"{model} is not the file that {path.name} describes (its sha256 "
            f"differs); export it again."
        )
    return manifest


def _in_terms_of_an_export(info: Mapping[str, Any], file: str) -> dict[str, Any]:
    """What a bundle says of one file; nothing where it does not know it."""
    whole = info.get("operating_point", {})
    for model in info["models"]:
        if model["file"] == file:
            threshold = model["threshold"]
            point: dict[str, Any] = _renamed(threshold)
            if upper := threshold.get("upper"):
                if "promise" not in whole:
                    raise EdgeMelanomaError(
                        f"The {MODEL_INFO} of {file} has an upper threshold and no promise that it "
                        f"keeps; export the file again."
                    )
                bounds = {"lower": point, "upper": _renamed(upper)}
                point = {**point, "promise": {**whole["promise"], **bounds}}
            if "correction" in whole:
                point = {**point, "correction": whole["correction"]}
            mode = model.get("mode") or model["input"]["dtype"]
            own = {"mode": mode, "threshold": threshold["float"], "counts": info.get("counts")}
            return {**model, **own, "operating_point": point}
    return {}


def _renamed(threshold: Mapping[str, Any]) -> dict[str, Any]:
    return {"threshold": threshold["float"], "integer": threshold["integer"]}


def _refuse_crossed(stated: Mapping[str, Any], path: Path) -> None:
    """Two thresholds in the wrong order would flag what is to be seen anyway."""
    point = stated.get("operating_point") or {}
    if "promise" in point and point["promise"]["upper"]["threshold"] < point["threshold"]:
        raise EdgeMelanomaError(
            f"{path} has an upper threshold below the lower one; choose them again with "
            f"edge-melanoma threshold --max-miss --save."
        )
