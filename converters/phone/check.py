"""Checks an Android bundle as it lies on disk, and names the first stage at which it differs."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from edge_melanoma.converters.metadata import LABELS
from edge_melanoma.converters.model_info import without_hashes
from edge_melanoma.converters.phone import bundle
from edge_melanoma.converters.phone.golden_vectors import Golden, prepare_pixels, run_model
from edge_melanoma.data.crops import Crop
from edge_melanoma.data.images import decode_image, read_image_bytes
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import json_text, sha256_of, sha256_of_file
from edge_melanoma.machine.schemas import read_bounded, read_json
from edge_melanoma.runs.converted import LARGEST_MODEL_BYTES
from edge_melanoma.tflite.gate import GateRule, read_rule
from edge_melanoma.tflite.inspection import inspect_model
from edge_melanoma.tflite.metadata import MODEL_INFO, ModelInfo, read_attached_files
from edge_melanoma.tflite.verification import verify_model

OUTPUT_STAGES = (
    (bundle.INT8, "int8_output", "integers"),
    (bundle.UINT8, "uint8_output", "integers"),
    (bundle.INT8, "p_malignant", "scores"),
    (bundle.INT8, "gate_distance", "distances"),
)
"""A model, what golden.json calls its outputs, and where `ModelOutputs` has them."""

Stage = tuple[str, object, object]
"""Its name, what the bundle says, and what is there."""


def check_bundle(folder: Path) -> dict[str, Any]:
    """Hashes, models, metadata, tensors, and every golden picture through every stage.

    For JSON, the folder's name alone; a finding is the first stage at which a file is not as the
    bundle says. A model whose hash is not that of model_info.json is not run.

    Raises:
        EdgeMelanomaError: the folder is no bundle.
    """
    for name in (bundle.SUMS, bundle.MODEL_INFO_FILE, bundle.GOLDEN_FILE):
        if not (folder / name).is_file():
            raise EdgeMelanomaError(
                f"{folder} is no Android bundle: it has no {name}; write one with edge-melanoma "
                f"android."
            )
    findings = _Findings()
    told = read_bounded(folder / bundle.SUMS).decode("utf-8", errors="replace")
    sums = bundle.read_sums(told)
    for name, sha256 in sums.items():
        path, expected = folder / name, sha256 if (folder / name).is_file() else "the file"
        found = sha256_of_file(path) if path.is_file() else "none"
        findings.passes(name, [(bundle.SUMS, expected, found)])
    info = read_json(folder / bundle.MODEL_INFO_FILE, ModelInfo)
    golden = read_json(folder / bundle.GOLDEN_FILE, Golden)
    models = {f"{bundle.ASSETS}/{model['file']}": model for model in info["models"]}
    stages = {name: _stages_of_model(folder, name, models[name], info) for name in models}
    broken = {name for name in models if not findings.passes(name, stages[name])}
    crops = "crop", info["preprocessing"]["crop"], golden["crop"]
    findings.passes(bundle.GOLDEN_FILE, [crops])
    gates = {
        name: read_rule(models[name].get("gate"), source=bundle.MODEL_INFO_FILE)
        for name in sorted({bundle.INT8, bundle.UINT8} & models.keys() - broken)
    }
    _check_pictures(folder, golden, gates, findings, size=info["preprocessing"]["width"])
    return {
        "schema": 1,
        "bundle": folder.name,
        "files": len(sums),
        "models": len(models),
        "pictures": len(golden["vectors"]),
        "ok": not findings,
        "findings": list(findings.values()),
    }


class _Findings(dict[str, dict[str, str]]):
    """By file, its first difference."""

    def passes(self, file: str, stages: Iterable[Stage]) -> bool:
        """Whether a file is as stated; after a stage that differs none is looked at."""
        for stage, expected, found in stages:
            if found != expected:
                told = {"stage": stage, "expected": str(expected), "found": str(found)}
                self.setdefault(file, {"file": file, **told})
                return False
        return True


def _stages_of_model(
    folder: Path, name: str, told: Mapping[str, Any], info: Mapping[str, Any]
) -> Iterator[Stage]:
    """A model, what is attached to it, and its ends."""
    yield "model_info.json", "the file", "the file" if (folder / name).is_file() else "none"
    data = read_bounded(folder / name, most=LARGEST_MODEL_BYTES)
    yield "model hash", told["sha256"], sha256_of(data)
    try:
        verify_model(data, name=name)
        facts, attached = inspect_model(data), read_attached_files(data)
    except EdgeMelanomaError as error:
        yield "metadata", "a model with it", str(error)
        return
    contents = {
        MODEL_INFO: json_text(without_hashes(info)).encode(),
        LABELS: read_bounded(folder / bundle.LABELS_FILE),
    }
    for file, content in contents.items():
        expected = f"the attached {file} to say what the one of the bundle says"
        other = "another" if file in attached else "none"
        yield "metadata", expected, expected if attached.get(file) == content else other
    for end, found in (("input", facts.input.as_dict()), ("output", facts.output.as_dict())):
        yield f"{end} tensor", {key: told[end][key] for key in found}, found


def _check_pictures(
    folder: Path,
    golden: Mapping[str, Any],
    gates: Mapping[str, GateRule | None],
    findings: _Findings,
    *,
    size: int,
) -> None:
    """The golden pictures, decoded, resized and run by each of the models that `gates` are of."""
    crop, ready, outputs = Crop(golden["crop"]), [], {}
    for vector in golden["vectors"]:
        name = f"{bundle.GOLDEN}/{vector['file']}"
        try:
            pixels = decode_image(read_image_bytes(folder / name), name=name)
        except EdgeMelanomaError as error:
            findings.passes(name, [("decoded", "a picture", str(error))])
            continue
        height, width = pixels.shape[:2]
        resized = prepare_pixels(pixels, crop, size=size)
        stages = (
            ("decoded", f"{vector['width']}x{vector['height']}", f"{width}x{height}"),
            ("decoded", vector["decoded_sha256"], sha256_of(pixels.tobytes())),
            ("resized", vector["resized_sha256"], sha256_of(resized.tobytes())),
        )
        if findings.passes(name, stages):
            ready.append((name, vector, resized))
    for model in gates if ready else ():
        try:
            pictures = [one[2] for one in ready]
            data = read_bounded(folder / model, most=LARGEST_MODEL_BYTES)
            outputs[model] = run_model(data, pictures, gate=gates[model])
        except EdgeMelanomaError as error:
            findings.passes(model, [("run", "a lesion classifier", str(error))])
    for place, (name, vector, _) in enumerate(ready):
        run = [stage for stage in OUTPUT_STAGES if stage[0] in outputs]
        values = [getattr(outputs[model], kind)[place] for model, _, kind in run]
        keys = [key for _, key, _ in run]
        told = ((key, vector.get(key), value) for key, value in zip(keys, values, strict=True))
        findings.passes(name, told)
