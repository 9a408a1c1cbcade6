"""What several test files make in the same way."""

import fcntl
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from edge_melanoma.evaluation.predictions import Origin, PredictionSet
from edge_melanoma.runs.models import TrainedModel

Scores = Sequence[float]


def predictions_of(*, malignant: tuple[float, ...], benign: tuple[float, ...]) -> PredictionSet:
    """Scores by class, malignant first; the ids number them."""
    count = len(malignant) + len(benign)
    return PredictionSet(
        image_ids=tuple(f"{number}.png" for number in range(count)),
        labels=np.arange(count) < len(malignant),
        scores=np.array([*malignant, *benign], dtype=np.float64),
    )


def predictions_from(
    source: str, *, mel: Scores = (), nv: Scores = (), bkl: Scores = (), bcc: Scores = ()
) -> PredictionSet:
    """Scores by diagnosis, of pictures of one source that are a lesion each."""
    scores = {"mel": mel, "nv": nv, "bkl": bkl, "bcc": bcc}
    names = [name for name, some in scores.items() for _ in some]
    ids = tuple(f"{source}:{number}" for number in range(len(names)))
    return PredictionSet(
        image_ids=ids,
        labels=np.isin(names, ["mel", "bcc"]),
        scores=np.array([score for some in scores.values() for score in some], dtype=np.float64),
        origins=tuple(
            Origin(source=source, lesion=image_id, diagnosis=name)
            for image_id, name in zip(ids, names, strict=True)
        ),
    )


def joined(*sets: PredictionSet) -> PredictionSet:
    """Several sets as one."""
    return PredictionSet(
        image_ids=tuple(name for one in sets for name in one.image_ids),
        labels=np.concatenate([one.labels for one in sets]),
        scores=np.concatenate([one.scores for one in sets]),
        origins=tuple(origin for one in sets for origin in one.origins),
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
    (folder / "evaluation.json").write_text('{"external": {}}', encoding="utf-8")
    manifest = {"dataset": {"name": "set", "folders": {"set": str(data)}}}
    return TrainedModel(folder=folder, variant="frozen", manifest=manifest, sha256="0" * 64)


def made_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """What the first test process that wants it makes there; the others wait for it."""
    made = folder.with_name(f"{folder.name}.made")
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            make(folder)
            made.touch()
    return folder
