"""Runs in MediaPipe's own Python: the probabilities of pictures, and what it says of int8.

    mediapipe_script.py UINT8_MODEL INT8_MODEL PICTURES RESULT

PICTURES is a .npz file of pictures (height, width, 3); RESULT receives JSON.
"""

import json
import sys
from pathlib import Path

import mediapipe as mp
import numpy as np
from mediapipe.tasks import python as tasks
from mediapipe.tasks.python import vision


def main(uint8_model: str, int8_model: str, pictures: str, result: str) -> None:
    """Write the version, what it says of each picture, and the refusal of the other model."""
    told = {
        "version": mp.__version__,
        "categories": _classify(uint8_model, pictures),
        "refusal": _refusal(int8_model),
    }
    Path(result).write_text(json.dumps(told))


def _open(model: str) -> vision.ImageClassifier:
    base = tasks.BaseOptions(model_asset_path=model)
    return vision.ImageClassifier.create_from_options(vision.ImageClassifierOptions(base))


def _classify(model: str, pictures: str) -> list[tuple[str, float]]:
    """The label that the file's metadata gives its one output, and the score."""
    found = []
    with _open(model) as classifier, np.load(pictures) as arrays:
        for name in arrays.files:
            image = mp.Image(image_format=mp.ImageFormat.SRGB, data=arrays[name])
            (category,) = classifier.classify(image).classifications[0].categories
            found.append((category.category_name, float(category.score)))
    return found


def _refusal(model: str) -> str:
    try:
        _open(model).close()
    except (RuntimeError, ValueError) as error:
        return str(error)
    return ""


if __name__ == "__main__":
    main(*sys.argv[1:])
