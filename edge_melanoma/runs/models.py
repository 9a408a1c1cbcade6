"""Finished runs: folders with weights and a manifest that describes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_melanoma.data.images import IMAGE_SIZE
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import sha256_of_file
from edge_melanoma.machine.schemas import read_json
from edge_melanoma.runs.manifests import RunManifest

RUNS_FOLDER = Path("runs")
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
GATE = "gate.safetensors"
HISTORY = "history.csv"
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
    manifest = read_json(folder / MANIFEST, RunManifest)
    sha256 = sha256_of_file(weights)
    if sha256 != manifest["files"].get(WEIGHTS, {}).get("sha256"):
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
