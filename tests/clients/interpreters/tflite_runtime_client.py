"""tflite-runtime 2.14 of 2023 on the int8 model: `make clients-tflite-runtime`.

Its int8 path is TensorFlow Lite's built-in kernels, which round otherwise than XNNPACK, so that
differences are told and not refused. It needs Python 3.11 or older and NumPy 1.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from client_bundle import (
    ClientBundle,
    Row,
    compare,
    input_values,
    resized_pictures,
    run_and_write,
)
from environments import environment, run_command

from edge_melanoma.errors import EdgeMelanomaError

REQUIREMENTS = ("tflite-runtime==2.14.0", "numpy==1.26.4")
NEWEST_PYTHON = (3, 11)
SCRIPT = Path(__file__).parent / "client_script.py"


def make_rows(bundle: ClientBundle) -> list[Row]:
    """The int8 model on the pictures."""
    if sys.version_info[:2] > NEWEST_PYTHON:
        raise EdgeMelanomaError(
            f"tflite-runtime has no wheel for Python {sys.version_info[0]}.{sys.version_info[1]}; "
            f"its last ones are for 3.11."
        )
    resized = resized_pictures()
    python = environment("tflite-runtime", REQUIREMENTS)
    with tempfile.TemporaryDirectory() as folder:
        pictures, result = Path(folder) / "pictures.npy", Path(folder) / "result.json"
        np.save(pictures, input_values("int8", resized))
        model = bundle.path("int8")
        command = [python, SCRIPT, "tflite_runtime", model, pictures, result]
        run_command([str(part) for part in command])
        told = json.loads(result.read_text())
    return [
        compare(
            "tflite-runtime, built-in kernels",
            version=f"tflite-runtime {told['version']}",
            dtype="int8",
            integers=told["integers"],
            expected=bundle.integers("int8", resized),
            threshold=bundle.threshold("int8"),
            note="phantoms; other kernels, other rounding",
        )
    ]


if __name__ == "__main__":
    sys.exit(run_and_write("tflite-runtime", make_rows))
