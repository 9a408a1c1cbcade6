"""Puts a finished run into the package as the model that ships.

    python benchmarks/measurements/ship.py RUN --mode int8-qat

No caches, no pictures and no paths of this machine travel; the licence note is made from the cards
of the data sets that the run was trained on.
"""

import argparse
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_melanoma.data.cards import describe_cards
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import sha256_of, write_atomically, write_json
from edge_melanoma.machine.schemas import read_json
from edge_melanoma.runs.bundled import FOLDER, MODEL
from edge_melanoma.runs.converted import open_converted
from edge_melanoma.runs.models import MANIFEST, TrainedModel, open_run
from edge_melanoma.runs.recorded_files import hashes_of
from edge_melanoma.runs.results import read_evaluation

EVALUATION, CARD = "evaluation.json", "MODEL_CARD.md"
MEASURED = ".evaluation.json"
"""Behind the int8 file's stem: what `evaluate --json` wrote of it, for `android` to pass on."""

KEPT = (
    "weights.safetensors",
    "gate.safetensors",
    "split.json",
    "history.csv",
    "subgroups.json",
    "predictions_validation.csv",
    "predictions_test.csv",
)
LARGEST_SIZE_BYTES = 8_000_000
"""Of the weights and the int8 file together."""


def main() -> None:
    """Replace the model in the package by the int8 file and the weights of a run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path)
    parser.add_argument("--mode", choices=("int8", "int8-qat"), default="int8-qat")
    options = parser.parse_args()
    run = open_run(options.run)
    bundle_run(run, model=run.exports_folder / f"model_{options.mode}.tflite")


def bundle_run(run: TrainedModel, *, model: Path, target: Path = FOLDER) -> None:
    """Put what ships of a run into the package: no caches, no pictures, no paths of this machine.

    `model` is the run's int8 file.

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
    if (run.folder / CARD).is_file():
        write_atomically(target / CARD, without_pictures((run.folder / CARD).read_text("utf-8")))
    evaluation = read_evaluation(run.folder)
    write_json(target / EVALUATION, _without_paths(evaluation))
    write_atomically(target / "LICENSE.md", licence_of(evaluation))
    files = {
        path.name: {"sha256": sha256_of(path.read_bytes()), "bytes": path.stat().st_size}
        for path in sorted(target.iterdir())
    }
    _copy_model(model, target / MODEL)
    write_json(
        target / MANIFEST, {**_without_command(_without_paths(run.manifest)), "files": files}
    )


def licence_of(evaluation: Mapping[str, Any]) -> str:
    """The note on what the weights and the .tflite file may be used for, as Markdown."""
    sets = "\n".join(f"- {line}" for line in describe_cards(evaluation["dataset"]))
    return f"""# Licence of the trained weights and of the .tflite file

**Research only. Not a medical device.** The code of edge-melanoma is under Apache-2.0. These files
were trained on the pictures below, most of them under CC BY-NC 4.0, and are passed on under the
same terms: no commercial use, and the sources are to be named (CC BY-NC 4.0,
https://creativecommons.org/licenses/by-nc/4.0/). The training started from the ImageNet weights of
MobileNetV2 that Google released under Apache-2.0.

{sets}
"""


def without_pictures(card: str) -> str:
    """A model card without its sheets: the pictures on them are not ours to pass on."""
    lines = card.splitlines()
    return "\n".join(line for line in lines if not line.startswith("![")) + "\n"


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
    """The int8 file under the name of its kind, its scores, its evaluation, and its manifest."""
    converted = open_converted(model)
    write_atomically(target, converted.data)
    scores, evaluation = (model.with_suffix(suffix) for suffix in (".validation.csv", MEASURED))
    if scores.is_file():
        write_atomically(target.with_suffix(".validation.csv"), scores.read_bytes())
    if evaluation.is_file():
        write_json(target.with_suffix(MEASURED), _without_paths(read_json(evaluation)))
    travelling = list(target.parent.glob(f"*{MEASURED}"))
    told = {"file": target.name, "companions": hashes_of(target.parent, travelling)}
    write_json(
        target.with_suffix(".json"),
        {**_without_command(_without_paths(converted.manifest)), **told},
    )


def _without_command(manifest: Mapping[str, Any]) -> dict[str, Any]:
    environment = {k: v for k, v in manifest["environment"].items() if k != "command"}
    return {**manifest, "environment": environment}


if __name__ == "__main__":
    main()
