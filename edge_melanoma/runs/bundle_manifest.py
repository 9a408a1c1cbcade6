"""What lies beside a .tflite file and describes it: an export's manifest, or that of a bundle."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
