"""MediaPipe Tasks on the two models: `make clients-mediapipe`.

Runs without network, since it reports its use to its makers. The uint8 file is loaded as it is; the
int8 file must be refused, as its documents say.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from client_bundle import (
    ClientBundle,
    Pixels,
    Row,
    compare,
    draw_pictures,
    run_and_write,
)
from environments import environment, refuse_missing, run_command
from numpy.typing import NDArray

from edge_melanoma.data.images import IMAGE_SIZE
from edge_melanoma.errors import EdgeMelanomaError

REQUIREMENTS = ("mediapipe==1.2.2",)
SCRIPT = Path(__file__).parent / "mediapipe_script.py"
REFUSAL = "Requested one of these types: uint8/float32, got INT8"
LABEL = "malignant"
"""Of the label file in the model's metadata."""

STEPS_A_PIXEL = 32
"""MediaPipe takes places in the picture in whole steps of this."""


def make_rows(bundle: ClientBundle) -> list[Row]:
    """The uint8 model on pictures that MediaPipe resizes itself.

    Raises:
        EdgeMelanomaError: it took the int8 model, refused it for another reason, or read other
            labels.
    """
    refuse_missing("mediapipe", {"unshare": "util-linux"})
    pictures = draw_pictures()
    told = _run(environment("mediapipe", REQUIREMENTS), bundle, pictures)
    if REFUSAL not in told["refusal"]:
        raise EdgeMelanomaError(
            f"MediaPipe should refuse the int8 model with '{REFUSAL}'; it said: "
            f"{told['refusal'] or 'nothing'}."
        )
    labels = {label for label, _ in told["categories"]}
    if labels != {LABEL}:
        raise EdgeMelanomaError(f"MediaPipe read the labels {labels}; expected {LABEL} alone.")
    expected = bundle.integers("uint8", [resize_as_mediapipe(picture) for picture in pictures])
    return [
        compare(
            "MediaPipe Tasks, ImageClassifier",
            version=f"mediapipe {told['version']}",
            dtype="uint8",
            integers=[round(score * 256) for _, score in told["categories"]],
            expected=expected,
            threshold=bundle.threshold("uint8"),
            note="phantoms, with its own resize on both sides; reads the label; refuses int8 input",
        )
    ]


def resize_as_mediapipe(picture: Pixels) -> Pixels:
    """Corner-aligned bilinear without antialiasing, (height, width, 3) to (224, 224, 3)."""
    height, width = picture.shape[:2]
    rows, row_steps = _places(height)
    columns, column_steps = _places(width)
    values = picture.astype(np.int64)
    below, right = np.minimum(rows + 1, height - 1), np.minimum(columns + 1, width - 1)
    x, y = column_steps[None, :, None], row_steps[:, None, None]
    upper = values[rows][:, columns] * (STEPS_A_PIXEL - x) + values[rows][:, right] * x
    lower = values[below][:, columns] * (STEPS_A_PIXEL - x) + values[below][:, right] * x
    mixed = upper * (STEPS_A_PIXEL - y) + lower * y
    resized: Pixels = ((mixed + STEPS_A_PIXEL**2 // 2) // STEPS_A_PIXEL**2).astype(np.uint8)
    return resized


def _places(length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each of 224 places: the pixel before it, and the steps from there."""
    steps = np.rint(np.arange(IMAGE_SIZE) * (length / IMAGE_SIZE) * STEPS_A_PIXEL).astype(np.int64)
    return np.minimum(steps // STEPS_A_PIXEL, length - 1), steps % STEPS_A_PIXEL


def _run(python: Path, bundle: ClientBundle, pictures: list[Pixels]) -> dict[str, Any]:
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    with tempfile.TemporaryDirectory() as folder:
        arrays, result = Path(folder) / "pictures.npz", Path(folder) / "result.json"
        np.savez(arrays, *pictures)
        models = [bundle.path("uint8"), bundle.path("int8")]
        command = ["unshare", *user, "--net", python, SCRIPT, *models, arrays, result]
        run_command([str(part) for part in command])
        told: dict[str, Any] = json.loads(result.read_text())
    return told


if __name__ == "__main__":
    sys.exit(run_and_write("mediapipe", make_rows))
