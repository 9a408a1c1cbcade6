"""What several test files make in the same way."""

import hashlib
import json
from pathlib import Path

import numpy as np
from PIL import Image

from edge_melanoma.evaluation.predictions import PredictionSet
from edge_melanoma.runs.models import TrainedModel


def predictions_of(*, malignant: tuple[float, ...], benign: tuple[float, ...]) -> PredictionSet:
    """Scores by class, malignant first; the ids number them."""
    count = len(malignant) + len(benign)
    return PredictionSet(
        image_ids=tuple(f"{number}.png" for number in range(count)),
        labels=np.arange(count) < len(malignant),
        scores=np.array([*malignant, *benign], dtype=np.float64),
    )


def draw_pictures(folder: Path, *numbers: int) -> Path:
    """A picture a number, each of other random patches: even ones are malignant."""
    for number in numbers:
        path = folder / picture_id(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        patches = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(patches).resize((64, 64), Image.Resampling.BICUBIC).save(path)
    return folder


def picture_id(number: int) -> str:
    """Where `draw_pictures` puts a picture."""
    return f"{'benign' if number % 2 else 'malignant'}/{number}.png"


def hash_file(path: Path) -> str:
    """sha256 of its bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run_trained_on(data: Path, folder: Path, sides: dict[str, tuple[int, ...]]) -> TrainedModel:
    """What a run that was trained on such pictures leaves beside its weights."""
    folder.mkdir()
    split: dict[str, object] = {
        side: [picture_id(number) for number in numbers] for side, numbers in sides.items()
    }
    everything = [picture_id(number) for numbers in sides.values() for number in numbers]
    split["sha256"] = {image_id: hash_file(data / image_id) for image_id in everything}
    (folder / "split.json").write_text(json.dumps(split), encoding="utf-8")
    manifest = {"dataset": {"name": "set", "folders": {"set": str(data)}}}
    return TrainedModel(folder=folder, variant="frozen", manifest=manifest, sha256="0" * 64)
