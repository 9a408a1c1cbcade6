"""Gives a run that was trained before there were gates one of its own.

    python benchmarks/measurements/fit_gate.py RUN

Its pictures must be where the manifest says. Weights, scores and thresholds stay as they are;
`edge-melanoma export RUN --force` puts the gate into the files.
"""

import argparse
from pathlib import Path

from edge_melanoma.machine.terminal import TerminalReporter
from edge_melanoma.network.network import load_network
from edge_melanoma.runs.models import GATE, open_run
from edge_melanoma.runs.pictures import read_side
from edge_melanoma.training.gate import fit_gate, record_gate
from edge_melanoma.training.record import record_files


def main() -> None:
    """Fit, write and record the gate of a run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path)
    run = open_run(parser.parse_args().run)
    sides = [read_side(run, side) for side in ("train", "validation")]
    seed = int(run.manifest["settings"]["seed"])
    found = fit_gate(load_network(run), *sides, seed=seed, reporter=TerminalReporter())
    if found is not None:
        gate, told = found
        record_gate(run.folder, gate)
        record_files(run, [run.folder / GATE], gate=told)


if __name__ == "__main__":
    main()
