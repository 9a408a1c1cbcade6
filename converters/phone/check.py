"""Checks an Android bundle as it lies on disk, and names the first stage at which it differs."""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.converters.metadata import LABELS
from edge_melanoma.converters.model_info import without_hashes
from edge_melanoma.converters.phone import layout
from edge_melanoma.converters.phone.golden_vectors import prepare_pixels, run_model
from edge_melanoma.data.crops import Crop
from edge_melanoma.data.decoding import decode_image
from edge_melanoma.data.images import read_image_bytes
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import json_text, read_json, sha256_of
from edge_melanoma.tflite.inspection import inspect_model
from edge_melanoma.tflite.model_info import MODEL_INFO, read_attached_files
from edge_melanoma.tflite.verification import verify_model

OUTPUT_STAGES = (
    (layout.INT8, "int8_output", "integers"),
    (layout.UINT8, "uint8_output", "integers"),
    (layout.INT8, "p_malignant", "scores"),
)
"""A model, what golden.json calls its outputs, and where `ModelOutputs` has them."""


def check_bundle(folder: Path) -> dict[str, Any]:
    """Hashes, models, metadata, tensors, and every golden picture through every stage.

    For JSON, the folder's name alone; a finding is the first stage at which a file is not as the
    bundle says. A model whose hash is not that of model_info.json is not run.

    Raises:
        EdgeMelanomaError: the folder is no bundle.
    """
    for name in (layout.SUMS, layout.MODEL_INFO_FILE, layout.GOLDEN_FILE):
        if not (folder / name).is_file():
            raise EdgeMelanomaError(
                f"{folder} is no Android bundle: it has no {name}; write one with edge-melanoma "
                f"android."
            )
    looked = _Look(folder)
    sums = layout.read_sums((folder / layout.SUMS).read_text(encoding="utf-8", errors="replace"))
    for name, expected in sums.items():
        looked.check_sum(name, expected)
    info = read_json(folder / layout.MODEL_INFO_FILE)
    golden = read_json(folder / layout.GOLDEN_FILE)
    try:
        models = {f"{layout.ASSETS}/{model['file']}": model for model in info["models"]}
        sound = {name for name, told in models.items() if looked.check_model(name, told, info)}
        broken = set(models) - sound
        looked.check_pictures(golden, info, models=sorted({layout.INT8, layout.UINT8} - broken))
    except (KeyError, TypeError, ValueError) as error:
        raise EdgeMelanomaError(
            f"{layout.MODEL_INFO_FILE} or {layout.GOLDEN_FILE} of {folder} is not as "
            f"edge-melanoma android writes it ({error!r}); write the bundle again."
        ) from error
    return {
        "schema": 1,
        "bundle": folder.name,
        "files": len(sums),
        "models": len(models),
        "pictures": len(golden["vectors"]),
        "ok": not looked.findings,
        "findings": list(looked.findings.values()),
    }


class _Look:
    """A look at a bundle's files; of each the first difference is kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.findings: dict[str, dict[str, str]] = {}

    def expect(self, file: str, stage: str, expected: object, found: object) -> bool:
        """Whether the two are equal; where they are not, the file's first finding."""
        if found != expected:
            told = {"file": file, "stage": stage, "expected": str(expected), "found": str(found)}
            self.findings.setdefault(file, told)
        return found == expected

    def check_sum(self, name: str, expected: str) -> None:
        """A file of SHA256SUMS."""
        path = self._folder / name
        found = sha256_of(path.read_bytes()) if path.is_file() else "none"
        self.expect(name, layout.SUMS, "the file" if found == "none" else expected, found)

    def check_model(self, name: str, told: Mapping[str, Any], info: Mapping[str, Any]) -> bool:
        """A model, what is attached to it, and its ends; whether all is as `info` says."""
        path = self._folder / name
        if not path.is_file():
            return self.expect(name, "model_info.json", "the file", "none")
        data = path.read_bytes()
        if not self.expect(name, "model hash", told["sha256"], sha256_of(data)):
            return False
        try:
            verify_model(data, name=name)
            facts, attached = inspect_model(data), read_attached_files(data)
        except EdgeMelanomaError as error:
            return self.expect(name, "metadata", "a model with it", str(error))
        contents = {
            MODEL_INFO: json_text(without_hashes(info)).encode(),
            LABELS: (self._folder / layout.LABELS_FILE).read_bytes(),
        }
        for file, content in contents.items():
            if attached.get(file) != content:
                expected = f"the attached {file} to say what the one of the bundle says"
                found = "another" if file in attached else "none"
                return self.expect(name, "metadata", expected, found)
        return all(
            self.expect(name, f"{end} tensor", {key: told[end][key] for key in found}, found)
            for end, found in (("input", facts.input.as_dict()), ("output", facts.output.as_dict()))
        )

    def check_pictures(
        self, golden: Mapping[str, Any], info: Mapping[str, Any], *, models: Sequence[str]
    ) -> None:
        """The golden pictures, decoded, resized and run by `models`."""
        self.expect(layout.GOLDEN_FILE, "crop", info["preprocessing"]["crop"], golden["crop"])
        crop, ready, inputs = Crop(golden["crop"]), [], []
        for vector in golden["vectors"]:
            if (pixels := self._check_pixels(vector, crop)) is not None:
                ready.append(vector)
                inputs.append(pixels)
        outputs = {}
        for name in models if ready else ():
            try:
                outputs[name] = run_model((self._folder / name).read_bytes(), inputs)
            except EdgeMelanomaError as error:
                self.expect(name, "run", "a lesion classifier", str(error))
        stages = [stage for stage in OUTPUT_STAGES if stage[0] in outputs]
        for (place, vector), (name, key, values) in product(enumerate(ready), stages):
            found = getattr(outputs[name], values)[place]
            self.expect(f"{layout.GOLDEN}/{vector['file']}", key, vector[key], found)

    def _check_pixels(self, vector: Mapping[str, Any], crop: Crop) -> NDArray[np.uint8] | None:
        """What a model is given, none where a stage before it differs."""
        name = f"{layout.GOLDEN}/{vector['file']}"
        try:
            pixels = decode_image(read_image_bytes(self._folder / name), name=name)
        except EdgeMelanomaError as error:
            self.expect(name, "decoded", "a picture", str(error))
            return None
        height, width = pixels.shape[:2]
        resized = prepare_pixels(pixels, crop)
        stages = (
            ("decoded", f"{vector['width']}x{vector['height']}", f"{width}x{height}"),
            ("decoded", vector["decoded_sha256"], sha256_of(pixels.tobytes())),
            ("resized", vector["resized_sha256"], sha256_of(resized.tobytes())),
        )
        return resized if all(self.expect(name, *stage) for stage in stages) else None
