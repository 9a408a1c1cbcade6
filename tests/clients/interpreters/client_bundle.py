"""What every client is given, and how its outputs compare with those of Python here."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.data.images import resize_image
from edge_melanoma.data.phantoms import OTHER_SIZES, draw_phantom
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import write_json
from edge_melanoma.machine.schemas import read_json
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.runtime.names import Runtime

ROOT = Path(__file__).parents[3]
BUILD = ROOT / "build/clients"
PICTURES = 200
Pixels = NDArray[np.uint8]
Row = dict[str, object]


class ClientBundle:
    """The two 8-bit models of a bundle and where they decide."""

    def __init__(self, root: Path) -> None:
        """Read model_info.json.

        Raises:
            EdgeMelanomaError: there is no bundle.
        """
        self.assets = root / "app/src/main/assets"
        path = self.assets / "model_info.json"
        if not path.is_file():
            raise EdgeMelanomaError(
                f"{root} holds no models; make them with "
                f"edge-melanoma android bundled --out {root} --force."
            )
        self._models = {Path(model["file"]).stem: model for model in read_json(path)["models"]}

    def path(self, dtype: str) -> Path:
        """The file of the model that takes `dtype`."""
        return self.assets / f"melanoma_{dtype}.tflite"

    def threshold(self, dtype: str) -> int:
        """From which integer on that model says malignant."""
        return int(self._models[f"melanoma_{dtype}"]["threshold"]["integer"])

    def integers(self, dtype: str, resized: Sequence[Pixels]) -> list[int]:
        """Python's outputs for pictures (224, 224, 3)."""
        path = self.path(dtype)
        session = TFLiteSession(
            SessionSettings(data=path.read_bytes(), name=path.name, runtime=Runtime.LITERT)
        )
        found = []
        for picture in resized:
            session.load_image(picture)
            session.invoke()
            found.append(int(session.raw_output()[0]))
        return found


def draw_pictures(count: int = PICTURES) -> list[Pixels]:
    """Phantoms (height, width, 3) of several sizes, the classes in turn."""
    sizes = [OTHER_SIZES[number % len(OTHER_SIZES)] for number in range(count)]
    return [
        draw_phantom(is_malignant=number % 2 == 1, seed=number, width=width, height=height)
        for number, (width, height) in enumerate(sizes)
    ]


def resized_pictures(count: int = PICTURES) -> list[Pixels]:
    """The same as the network sees them, (224, 224, 3)."""
    return [resize_image(picture) for picture in draw_pictures(count)]


def input_values(dtype: str, resized: Sequence[Pixels]) -> NDArray[Any]:
    """What the input tensor of a model holds for them: (n, 224, 224, 3)."""
    pixels = np.stack(resized)
    return pixels if dtype == "uint8" else (pixels.astype(np.int16) - 128).astype(np.int8)


def compare(
    client: str,
    *,
    version: str,
    dtype: str,
    integers: Sequence[int],
    expected: Sequence[int],
    threshold: int,
    note: str,
) -> Row:
    """A row of the table of clients."""
    steps = np.abs(np.subtract(integers, expected))
    flips = (np.asarray(integers) >= threshold) != (np.asarray(expected) >= threshold)
    return {
        "client": client,
        "version": version,
        "input": dtype,
        "pictures": len(expected),
        "equal": int((steps == 0).sum()),
        "largest_difference_steps": int(steps.max()),
        "decision_flips": int(flips.sum()),
        "note": note,
    }


def run_and_write(name: str, make_rows: Callable[[ClientBundle], list[Row]]) -> int:
    """Write and print a client's rows; the exit code is 2 where it cannot be run here."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundle", type=Path, default=ROOT / "android_assets")
    try:
        rows = make_rows(ClientBundle(parser.parse_args().bundle.resolve()))
    except EdgeMelanomaError as error:
        print(error, file=sys.stderr)
        return 2
    BUILD.mkdir(parents=True, exist_ok=True)
    write_json(BUILD / f"{name}.json", rows)
    print("\n".join(map(json.dumps, rows)))
    return 0
