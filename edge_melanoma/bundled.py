"""The model that ships inside the package: a trained run of the recipe best, with its int8 file.

Its folder is laid out like any run folder. What a command would write into it (exports, benches)
goes to a copy of its own, since an installed package may be read-only.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_melanoma.artifacts import (
    MANIFEST,
    RUNS_FOLDER,
    TrainedModel,
    find_run,
    open_converted,
    open_run,
    read_json,
    sha256_of,
    write_atomically,
    write_json,
)
from edge_melanoma.errors import EdgeMelanomaError

WORD = Path("bundled")
"""What a person writes instead of a run folder or a model file."""

FOLDER = Path(__file__).with_name("bundled_run")
MODEL = Path("exports", "model_int8.tflite")
EVALUATION = "evaluation.json"
KEPT = (
    "weights.safetensors",
    "split.json",
    "history.csv",
    "subgroups.json",
    "predictions_validation.csv",
    "predictions_test.csv",
    "MODEL_CARD.md",
)
LARGEST_SIZE_BYTES = 8_000_000
"""Of the weights and the int8 file together."""


def find_run_or_bundled(folder: Path | None) -> TrainedModel:
    """As `find_run`, and for the word `bundled` the run in the package, unpacked."""
    if is_bundled(folder):
        return open_run(_unpack())
    return find_run(folder)


def is_bundled(path: Path | None) -> bool:
    """Whether a person means the model in the package: nothing of that name is here."""
    return path == WORD and not WORD.exists()


def bundled_model() -> Path:
    """The int8 .tflite file, its manifest beside it."""
    return _folder() / MODEL


def bundled_run() -> TrainedModel:
    """The run as it lies in the package: to read, not to write into."""
    return open_run(_folder())


def bundle_run(run: TrainedModel, *, model: Path, licence: str, target: Path = FOLDER) -> None:
    """Put what ships of a run into the package: no caches, no pictures, no paths of this machine.

    `model` is the run's int8 file, `licence` the note on the data that it was trained on.

    Raises:
        EdgeMelanomaError: it is larger than what may ship.
    """
    size = run.weights_path.stat().st_size + model.stat().st_size
    if size > LARGEST_SIZE_BYTES:
        raise EdgeMelanomaError(
            f"{run.folder} has {size:,} bytes of weights and int8; at most {LARGEST_SIZE_BYTES:,} "
            f"may ship."
        )
    shutil.rmtree(target, ignore_errors=True)
    for name in KEPT:
        if (run.folder / name).is_file():
            write_atomically(target / name, (run.folder / name).read_bytes())
    write_json(target / EVALUATION, _without_paths(read_json(run.folder / EVALUATION)))
    write_atomically(target / "LICENSE.md", licence)
    files = {
        path.name: {"sha256": sha256_of(path.read_bytes()), "bytes": path.stat().st_size}
        for path in sorted(target.iterdir())
    }
    _copy_model(model, target / MODEL)
    write_json(
        target / MANIFEST, {**_without_command(_without_paths(run.manifest)), "files": files}
    )


def _folder() -> Path:
    if not (FOLDER / MANIFEST).is_file():
        raise EdgeMelanomaError(
            f"This copy of edge-melanoma holds no trained model ({FOLDER} is missing); "
            f"install the whole package, or name a run folder or a .tflite file."
        )
    return FOLDER


def _unpack() -> Path:
    """A copy of the run below runs/, made once, that commands may write into."""
    target = RUNS_FOLDER / WORD
    if (target / MANIFEST).is_file():
        if read_json(target / MANIFEST)["files"] == read_json(_folder() / MANIFEST)["files"]:
            return target
        raise EdgeMelanomaError(
            f"{target} holds another model than the one in the package; move it away."
        )
    for path in sorted(_folder().rglob("*"), key=lambda path: path.name == MANIFEST):
        if path.is_file():
            write_atomically(target / path.relative_to(_folder()), path.read_bytes())
    return target


def _without_paths(told: Any) -> Any:
    """JSON content where each path of the machine that it was made on is the last part of it."""
    if isinstance(told, Mapping):
        return {name: _without_paths(value) for name, value in told.items()}
    if isinstance(told, list):
        return [_without_paths(value) for value in told]
    if isinstance(told, str) and Path(told).is_absolute():
        return Path(told).name
    return told


def _copy_model(model: Path, target: Path) -> None:
    """The int8 file under the name of its kind, and its manifest without the layers' errors."""
    converted = open_converted(model)
    write_atomically(target, converted.data)
    write_json(
        target.with_suffix(".json"),
        {**_without_command(_without_paths(converted.manifest)), "file": target.name},
    )


def _without_command(manifest: Mapping[str, Any]) -> dict[str, Any]:
    environment = {k: v for k, v in manifest["environment"].items() if k != "command"}
    return {**manifest, "environment": environment}
