"""Checks an Android bundle as it lies on disk, and names the first stage at which it differs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_melanoma.converters.phone.golden_vectors import ModelOutputs, prepare_pixels, run_model
from edge_melanoma.converters.phone.layout import (
    ASSETS,
    GOLDEN,
    GOLDEN_FILE,
    INT8,
    LABELS_FILE,
    MODEL_INFO_FILE,
    SUMS,
    UINT8,
    read_sums,
)
from edge_melanoma.converters.phone.metadata import LABELS, read_attached_files
from edge_melanoma.converters.phone.model_info import without_hashes
from edge_melanoma.data.crops import Crop
from edge_melanoma.data.images import decode_image, read_image_bytes
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import json_text, read_json, sha256_of
from edge_melanoma.runs.models import MODEL_INFO
from edge_melanoma.tflite.inspection import ModelFacts, inspect_model
from edge_melanoma.tflite.verification import verify_model


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The first stage at which a file of a bundle is not as the bundle says."""

    file: str
    stage: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.file}: {self.stage}: expected {self.expected}, found {self.found}."


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleCheck:
    """What was looked at, and what differs."""

    folder: Path
    files: int
    models: int
    pictures: int
    findings: tuple[Finding, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON; the folder's name alone."""
        return {
            "schema": 1,
            "bundle": self.folder.name,
            "files": self.files,
            "models": self.models,
            "pictures": self.pictures,
            "ok": not self.findings,
            "findings": [asdict(finding) for finding in self.findings],
        }


def check_bundle(folder: Path) -> BundleCheck:
    """Hashes, models, metadata, tensors, and every golden picture through every stage.

    A model whose hash is not that of model_info.json is not run.

    Raises:
        EdgeMelanomaError: the folder is no bundle.
    """
    for name in (SUMS, MODEL_INFO_FILE, GOLDEN_FILE):
        if not (folder / name).is_file():
            raise EdgeMelanomaError(
                f"{folder} is no Android bundle: it has no {name}; write one with edge-melanoma "
                f"android."
            )
    sums = read_sums((folder / SUMS).read_text(encoding="utf-8", errors="replace"))
    changed = list(_check_sums(folder, sums))
    info, golden = read_json(folder / MODEL_INFO_FILE), read_json(folder / GOLDEN_FILE)
    try:
        models = {f"{ASSETS}/{model['file']}": model for model in info["models"]}
        checked = [_check_model(folder, name, told, info) for name, told in models.items()]
        pictures = list(_check_pictures(folder, golden, info, broken=_files_of(checked)))
    except (KeyError, TypeError, ValueError) as error:
        raise EdgeMelanomaError(
            f"{MODEL_INFO_FILE} or {GOLDEN_FILE} of {folder} is not as edge-melanoma android "
            f"writes it ({error!r}); write the bundle again."
        ) from error
    later = [finding for finding in [*checked, *pictures] if finding is not None]
    known = {finding.file for finding in changed}
    return BundleCheck(
        folder=folder,
        files=len(sums),
        models=len(models),
        pictures=len(golden["vectors"]),
        findings=(*changed, *(finding for finding in later if finding.file not in known)),
    )


def _check_sums(folder: Path, sums: Mapping[str, str]) -> Iterator[Finding]:
    for name, expected in sums.items():
        path = folder / name
        if not path.is_file():
            yield Finding(file=name, stage=SUMS, expected="the file", found="none")
        elif (found := sha256_of(path.read_bytes())) != expected:
            yield _differs(name, SUMS, expected, found)


def _check_model(
    folder: Path, name: str, told: Mapping[str, Any], info: Mapping[str, Any]
) -> Finding | None:
    path = folder / name
    if not path.is_file():
        return Finding(file=name, stage="model_info.json", expected="the file", found="none")
    data = path.read_bytes()
    if (found := sha256_of(data)) != told["sha256"]:
        return _differs(name, "model hash", told["sha256"], found)
    try:
        verify_model(data, name=name)
        facts = inspect_model(data)
        return _check_metadata(folder, name, data, info) or _check_tensors(name, facts, told)
    except EdgeMelanomaError as error:
        return Finding(file=name, stage="metadata", expected="a model with it", found=str(error))


def _check_metadata(
    folder: Path, name: str, data: bytes, info: Mapping[str, Any]
) -> Finding | None:
    attached = read_attached_files(data)
    expected = {
        MODEL_INFO: json_text(without_hashes(info)).encode(),
        LABELS: (folder / LABELS_FILE).read_bytes(),
    }
    for file, content in expected.items():
        if attached.get(file) != content:
            return Finding(
                file=name,
                stage="metadata",
                expected=f"the attached {file} to say what the one of the bundle says",
                found="another" if file in attached else "none",
            )
    return None


def _check_tensors(name: str, facts: ModelFacts, told: Mapping[str, Any]) -> Finding | None:
    for end, found in (("input", facts.input.as_dict()), ("output", facts.output.as_dict())):
        expected = {key: told[end][key] for key in found}
        if expected != found:
            return _differs(name, f"{end} tensor", expected, found)
    return None


def _check_pictures(
    folder: Path, golden: Mapping[str, Any], info: Mapping[str, Any], *, broken: set[str]
) -> Iterator[Finding]:
    crop = Crop(golden["crop"])
    if golden["crop"] != info["preprocessing"]["crop"]:
        yield _differs(GOLDEN_FILE, "crop", info["preprocessing"]["crop"], golden["crop"])
    ready = []
    for vector in golden["vectors"]:
        finding, pixels = _check_pixels(folder, vector, crop)
        if finding is not None:
            yield finding
        else:
            ready.append((vector, pixels))
    outputs = {}
    for name in sorted({INT8, UINT8} - broken):
        try:
            outputs[name] = run_model((folder / name).read_bytes(), [image for _, image in ready])
        except EdgeMelanomaError as error:
            yield Finding(file=name, stage="run", expected="a lesion classifier", found=str(error))
    yield from _check_outputs([vector for vector, _ in ready], outputs)


def _check_pixels(
    folder: Path, vector: Mapping[str, Any], crop: Crop
) -> tuple[Finding | None, Any]:
    name = f"{GOLDEN}/{vector['file']}"
    try:
        pixels = decode_image(read_image_bytes(folder / name), name=name)
    except EdgeMelanomaError as error:
        return Finding(file=name, stage="decoded", expected="a picture", found=str(error)), None
    height, width = pixels.shape[:2]
    if (width, height) != (vector["width"], vector["height"]):
        size = f"{vector['width']}x{vector['height']}"
        return _differs(name, "decoded", size, f"{width}x{height}"), None
    if (found := sha256_of(pixels.tobytes())) != vector["decoded_sha256"]:
        return _differs(name, "decoded", vector["decoded_sha256"], found), None
    resized = prepare_pixels(pixels, crop)
    if (found := sha256_of(resized.tobytes())) != vector["resized_sha256"]:
        return _differs(name, "resized", vector["resized_sha256"], found), None
    return None, resized


def _check_outputs(
    vectors: Sequence[Mapping[str, Any]], outputs: Mapping[str, ModelOutputs]
) -> Iterator[Finding]:
    """The first output that differs of each picture."""
    for place, vector in enumerate(vectors):
        for name, key in ((INT8, "int8_output"), (UINT8, "uint8_output")):
            found = outputs[name].integers[place] if name in outputs else vector[key]
            if found != vector[key]:
                yield _differs(f"{GOLDEN}/{vector['file']}", key, vector[key], found)
                break
        else:
            score = outputs[INT8].scores[place] if INT8 in outputs else vector["p_malignant"]
            if score != vector["p_malignant"]:
                file = f"{GOLDEN}/{vector['file']}"
                yield _differs(file, "p_malignant", vector["p_malignant"], score)


def _differs(file: str, stage: str, expected: object, found: object) -> Finding:
    return Finding(file=file, stage=stage, expected=str(expected), found=str(found))


def _files_of(findings: Sequence[Finding | None]) -> set[str]:
    return {finding.file for finding in findings if finding is not None}
