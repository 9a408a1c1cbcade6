"""What several test files make in the same way."""

import hashlib
import json
from pathlib import Path

import numpy as np
from PIL import Image

from edge_melanoma.artifacts import TrainedModel
from edge_melanoma.predictions import PredictionSet


def predictions_of(*, malignant: tuple[float, ...], benign: tuple[float, ...]) -> PredictionSet:
    """Scores by class, malignant first; the ids number them."""
    count = len(malignant) + len(benign)
    return PredictionSet(
        image_ids=tuple(f"{number}.png" for number in range(count)),
        labels=np.arange(count) < len(malignant),
        scores=np.array([*malignant, *benign], dtype=np.float64),
    )


def draw_greys(folder: Path, *greys: int) -> Path:
    """A grey picture a number: even ones are malignant."""
    for grey in greys:
        path = folder / grey_id(grey)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2), grey).save(path)
    return folder


def grey_id(grey: int) -> str:
    """Where `draw_greys` puts a picture."""
    return f"{'benign' if grey % 2 else 'malignant'}/{grey}.png"


def hash_file(path: Path) -> str:
    """sha256 of its bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run_trained_on(data: Path, folder: Path, sides: dict[str, tuple[int, ...]]) -> TrainedModel:
    """What a run that was trained on grey pictures leaves beside its weights."""
    folder.mkdir()
    split: dict[str, object] = {side: [grey_id(g) for g in greys] for side, greys in sides.items()}
    everything = [grey_id(grey) for greys in sides.values() for grey in greys]
    split["sha256"] = {image_id: hash_file(data / image_id) for image_id in everything}
    (folder / "split.json").write_text(json.dumps(split), encoding="utf-8")
    manifest = {"dataset": {"name": "set", "folders": {"set": str(data)}}}
    return TrainedModel(folder=folder, variant="frozen", manifest=manifest, sha256="0" * 64)
