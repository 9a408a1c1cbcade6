"""Runs in the client's own Python: a model's integers for pictures that are ready for it.

    client_script.py PACKAGE MODEL PICTURES RESULT [DISTRIBUTION]

PICTURES is a .npy file (n, 224, 224, 3) of the model's input type; RESULT receives JSON. Needs
NumPy and the interpreter's package alone, so that it runs wherever the interpreter does.
"""

import importlib
import importlib.metadata
import json
import sys
from pathlib import Path

import numpy as np


def main(package: str, model: str, pictures: str, result: str, distribution: str = "") -> None:
    """Load from bytes, run one by one, write the version and the integers of the score."""
    module = importlib.import_module(f"{package}.interpreter")
    interpreter = module.Interpreter(model_content=Path(model).read_bytes(), num_threads=1)
    interpreter.allocate_tensors()
    (image,), (score, *_) = interpreter.get_input_details(), interpreter.get_output_details()
    integers = []
    for picture in np.load(pictures):
        interpreter.set_tensor(image["index"], picture[np.newaxis])
        interpreter.invoke()
        integers.append(int(interpreter.get_tensor(score["index"]).reshape(-1)[0]))
    version = importlib.metadata.version(distribution or package.replace("_", "-"))
    Path(result).write_text(json.dumps({"version": version, "integers": integers}))


if __name__ == "__main__":
    main(*sys.argv[1:])
