"""The arm64 wheel of LiteRT on emulated processors of phones: `make clients-arm64`.

Its outputs must be those of Python here, to the last bit.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from arm64_machine import CPU_PARTS, PROGRAMS, Arm64Machine
from client_bundle import (
    BUILD,
    ClientBundle,
    Row,
    compare,
    input_values,
    resized_pictures,
    run_and_write,
)
from environments import refuse_missing

from edge_melanoma.machine.terminal import TerminalReporter

SCRIPT = Path(__file__).parent / "client_script.py"


def make_rows(bundle: ClientBundle) -> list[Row]:
    """The int8 model on the pictures, a row a processor."""
    refuse_missing("arm64", PROGRAMS)
    resized, reporter = resized_pictures(), TerminalReporter()
    reporter.say("Making an arm64 Python, once")
    machine = Arm64Machine(BUILD / "arm64")
    expected = bundle.integers("int8", resized)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        pictures, result = Path(folder) / "pictures.npy", Path(folder) / "result.json"
        np.save(pictures, input_values("int8", resized))
        for cpu in CPU_PARTS:
            reporter.say(f"Running {len(resized)} pictures on an emulated {cpu}")
            command = [SCRIPT, "ai_edge_litert", bundle.path("int8"), pictures, result]
            machine.run(cpu, [str(part) for part in command])
            told = json.loads(result.read_text())
            rows.append(
                compare(
                    f"LiteRT on arm64, {cpu} under qemu",
                    version=f"ai-edge-litert {told['version']}",
                    dtype="int8",
                    integers=told["integers"],
                    expected=expected,
                    threshold=bundle.threshold("int8"),
                    note="phantoms; user-mode emulation, XNNPACK",
                )
            )
    return rows


if __name__ == "__main__":
    sys.exit(run_and_write("arm64", make_rows))
