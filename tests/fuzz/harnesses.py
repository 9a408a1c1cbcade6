"""What is fuzzed: readers of files from outside, which may refuse them and nothing else.

A harness takes any bytes. It returns, or a file is refused by an EdgeMelanomaError; every other
exception is a finding, as is a death or a hang.
"""

import contextlib
import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from tflite_files import empty_model, mean_model

from edge_melanoma.benchmarks.parity.contract_file import read_contracts
from edge_melanoma.data.images import decode_image, resize_image
from edge_melanoma.data.listing import read_lesions
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import sha256_of
from edge_melanoma.runs.bundled import bundled_model, bundled_run
from edge_melanoma.runs.converted import open_converted
from edge_melanoma.runs.models import MANIFEST, WEIGHTS, open_run
from edge_melanoma.tflite.metadata import read_seal
from edge_melanoma.tflite.quantization import score_tensor_of
from edge_melanoma.tflite.verification import check_model

MODES = ("float32", "float16", "int8")
TINY_WEIGHTS = b"weights"
Harness = Callable[[bytes], object]


def read_picture(data: bytes) -> None:
    """Decoding and resizing."""
    resize_image(decode_image(data, name="a picture"))


def read_labels(data: bytes) -> None:
    """A labels.csv."""
    (_scratch() / "labels.csv").write_bytes(data)
    for record in read_lesions(_scratch()):
        Path(str(record.path)).is_file()


def read_contract(data: bytes) -> None:
    """A parity.toml."""
    (_scratch() / "parity.toml").write_bytes(data)
    contracts = read_contracts(_scratch() / "parity.toml")
    for mode in MODES:
        contracts.of(mode)


def read_manifests(data: bytes) -> None:
    """The manifests of a run and of an export, with the right hashes where they hold objects."""
    model, run = _scratch() / "model_int8.tflite", _scratch() / "run"
    run.mkdir(exist_ok=True)
    if not model.exists():
        model.write_bytes(mean_model(tensor="a", signature="b"))
        (run / WEIGHTS).write_bytes(TINY_WEIGHTS)
    model.with_suffix(".json").write_bytes(_with(data, sha256_of(model.read_bytes()), "sha256"))
    hashed = _with(data, sha256_of(TINY_WEIGHTS), "files", WEIGHTS, "sha256")
    (run / MANIFEST).write_bytes(hashed)
    with contextlib.suppress(EdgeMelanomaError):
        found = open_converted(model)
        score_tensor_of(found.manifest)
        float(found.manifest.get("threshold", 0.5))
    with contextlib.suppress(EdgeMelanomaError):
        assert 0 <= open_run(run).threshold <= 1


def read_tflite(data: bytes) -> None:
    """Verification of a .tflite file."""
    read_seal(data)
    check_model(data)


HARNESSES: dict[str, Harness] = {
    "picture": read_picture,
    "labels": read_labels,
    "contract": read_contract,
    "manifests": read_manifests,
    "tflite": read_tflite,
}


def run_harness(name: str, data: bytes) -> None:
    """One input through one harness; a refusal is as good as a result."""
    with contextlib.suppress(EdgeMelanomaError):
        HARNESSES[name](data)


def seeds(name: str) -> list[bytes]:
    """Files of the right kind to begin with."""
    data = Path(__file__).parents[1] / "fixtures" / "bad_images"
    if name == "picture":
        return [path.read_bytes() for path in sorted(data.iterdir()) if path.suffix != ".json"]
    if name == "labels":
        return [b"file,label,lesion_id,age\na.jpg,benign,L1,40\nb.jpg,1,,\n", b"\xef\xbb\xbfx,y\n"]
    if name == "contract":
        return [b"max_recall_drop = 0.005\n[int8]\nmax_lost_malignant = 3\n", b"[int8]\nx = nan\n"]
    if name == "manifests":
        files = (bundled_run().folder / MANIFEST, bundled_model().with_suffix(".json"))
        small = [b"{}", b'{"threshold": 0.5, "operating_point": {"threshold": 0.5, "integer": 1}}']
        return [*small, *(_without_lists(path.read_bytes()) for path in files)]
    small = [empty_model(shape=[1, 224, 224, 3]), mean_model(tensor="a", signature="b")]
    return [*small, bundled_model().read_bytes()[:200_000]]


def _without_lists(data: bytes) -> bytes:
    """Manifests list hundreds of image ids, in which nothing is to be found."""
    content = json.loads(data)
    return json.dumps(content | {"calibration": None, "external": {}}).encode()[:20_000]


def _with(data: bytes, value: str, *keys: str) -> bytes:
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return data
    place = content
    for key in keys[:-1]:
        if not isinstance(place, dict):
            return data
        place = place.setdefault(key, {})
    if not isinstance(place, dict):
        return data
    place[keys[-1]] = value
    return json.dumps(content).encode()


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


def _scratch() -> Path:
    """A folder that is gone when the process ends."""
    return Path(_folder().name)
