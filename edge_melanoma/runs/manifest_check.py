"""Holds manifests against what is read out of them later, so that a mistake is named at once."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edge_melanoma.errors import EdgeMelanomaError

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
