"""The newest LiteRT release and its nightly build on the int8 model: `make clients-litert`.

Both run XNNPACK, as the release does that the golden vectors were made with: what differs from it
is told, by version, before phones get it.
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
from edge_melanoma.machine.environment import package_version

RELEASES = {"LiteRT, newest release": "ai-edge-litert", "LiteRT, nightly": "ai-edge-litert-nightly"}
SCRIPT = Path(__file__).parent / "client_script.py"


def make_rows(bundle: ClientBundle) -> list[Row]:
    """A row for each build that can be installed here.

    Raises:
        EdgeMelanomaError: none can.
    """
    rows, missing = [], []
    for client, package in RELEASES.items():
        try:
            rows.append(_make_row(client, package, bundle))
        except EdgeMelanomaError as error:
            missing.append(str(error))
            print(error, file=sys.stderr)
    if not rows:
        raise EdgeMelanomaError(missing[0])
    return rows


def _make_row(client: str, package: str, bundle: ClientBundle) -> Row:
    python = environment(package, (package, "numpy"))
    # The environment may be of another day.
    run_command([str(python), "-m", "pip", "install", "--quiet", "--upgrade", "--pre", package])
    resized = resized_pictures()
    with tempfile.TemporaryDirectory() as folder:
        pictures, result = Path(folder) / "pictures.npy", Path(folder) / "result.json"
        np.save(pictures, input_values("int8", resized))
        command = [python, SCRIPT, "ai_edge_litert", bundle.path("int8"), pictures, result, package]
        run_command([str(part) for part in command])
        told = json.loads(result.read_text())
    own = package_version("ai-edge-litert")
    return compare(
        client,
        version=f"{package} {told['version']}",
        dtype="int8",
        integers=told["integers"],
        expected=bundle.integers("int8", resized),
        threshold=bundle.threshold("int8"),
        note=f"phantoms; held against ai-edge-litert {own}",
    )


if __name__ == "__main__":
    sys.exit(run_and_write("litert", make_rows))
