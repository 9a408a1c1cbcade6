"""A finished run of grey pictures with one hand-made export whose scores can be counted."""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from tflite_files import mean_model

from edge_melanoma.evaluation.predictions import PredictionSet, predictions_to_csv
from edge_melanoma.machine.files import sha256_of
from edge_melanoma.runs.models import TrainedModel, open_run

QUARTERS = {"benign": (0, 0, 64, 128), "malignant": (64, 191, 191, 255)}
"""Grey levels of the validation side: the export gives 0, 1/4, 1/2, 3/4 or 1 for them."""
STEPS = {"dtype": "int8", "scale": 0.25, "zero_point": 20}


def make_graded_run(folder: Path, *, output: str = "p_malignant") -> TrainedModel:
    """The run in `folder`/run, its pictures in `folder`/data; `output` may be `logit`.

    The trained network is said to have scored the pictures by their grey level over 255, its
    threshold to be 0.2. The export gives 20 to 24, of which 21 and more reach every melanoma.
    """
    data, run = folder / "data", folder / "run"
    scores: dict[str, float] = {}
    for name, greys in QUARTERS.items():
        (data / name).mkdir(parents=True)
        for number, grey in enumerate(greys):
            # One pixel tells pictures of one grey level apart.
            picture = Image.new("L", (224, 224), grey)
            picture.putpixel((number, 0), 99)
            picture.save(data / name / f"{number}.png")
            scores[f"{name}/{number}.png"] = grey / 255
    (run / "exports").mkdir(parents=True)
    split = {
        "train": [],
        "validation": list(scores),
        "test": [],
        "sha256": {name: sha256_of((data / name).read_bytes()) for name in scores},
    }
    (run / "split.json").write_text(json.dumps(split))
    stored = PredictionSet(
        image_ids=tuple(scores),
        labels=np.array([name.startswith("malignant") for name in scores]),
        scores=np.array(list(scores.values())),
    )
    (run / "predictions_validation.csv").write_text(predictions_to_csv(stored))
    (run / "weights.safetensors").write_bytes(b"weights")
    manifest = {
        "variant": "frozen",
        "dataset": {"name": "greys", "folders": {"data": str(data)}},
        "operating_point": {"threshold": 0.2, "min_recall": 0.95},
        "files": {"weights.safetensors": {"sha256": sha256_of(b"weights")}},
    }
    (run / "manifest.json").write_text(json.dumps(manifest))
    _export(run / "exports" / "model_int8.tflite", output=output)
    return open_run(run)


def _export(path: Path, *, output: str) -> None:
    path.write_bytes(mean_model(tensor=output, signature=output))
    manifest = {
        "mode": "int8",
        "sha256": sha256_of(path.read_bytes()),
        "source_sha256": sha256_of(b"weights"),
        "output": STEPS | {"name": output},
        "threshold": 0.2,
        "operating_point": None,
    }
    path.with_suffix(".json").write_text(json.dumps(manifest))
