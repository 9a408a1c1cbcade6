"""Every variant in every mode on real images, and the README's table from what was measured.

    python benchmarks/measurements/suite.py --data DIR --weights FILE [--external NAME=DIR]

Runs the commands themselves, each in a process of its own; runs that are finished are kept. Prints
the tables, and puts them between the markers of the README that is given.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from pareto import Candidate, draw_pareto, read_candidates
from readme import update_readme
from results_tables import render_results

from edge_melanoma.machine.files import read_json, write_atomically
from edge_melanoma.network.recipes import ORIGINAL, Variant

MODES = ("all",)
PARETO = "pareto.png"
PICTURES = ("roc.png", "training_curves.png", "confusion.png")
SHOWN = Variant.PARTIAL
"""Whose pictures the README shows."""


def main() -> None:
    """Train, export and bench what is missing, then write the tables."""
    options = _parse()
    external = [word for given in options.external for word in ("--external", given)]
    common = ["--data", str(options.data), "--weights", options.weights, *external]
    _run("train", "--variant", "all", "--resume", "--out", str(options.out), *common)
    student = ["--variant", Variant.COMPACT, "--teacher", str(options.out / Variant.PARTIAL)]
    out = ["--resume", "--out", str(options.out / Variant.COMPACT)]
    _run("train", *student, *out, "--data", str(options.data), *external)
    folders = [options.out / variant.value for variant in (*ORIGINAL, Variant.COMPACT)]
    for folder in folders:
        quantize = [word for mode in MODES for word in ("--quantize", mode)]
        _run("export", str(folder), *quantize)
        if not _is_benched(folder, options.external):
            _run("bench", str(folder), *external)
    candidates = [c for folder in folders for c in _candidates_of(folder)]
    draw_pareto(candidates, options.out / PARETO, title=_describe_pareto(folders[0]))
    lines = render_results(folders)
    print("\n".join(lines))
    if options.readme:
        update_readme(options.readme, name="results", lines=lines)
    if options.keep:
        keep_evidence(folders, options.keep)


def keep_evidence(folders: list[Path], kept: Path) -> None:
    """Copy each run's parity report, and the pictures of one, to where they are committed."""
    write_atomically(kept / PARETO, (folders[0].parent / PARETO).read_bytes())
    for folder in folders:
        report = (folder / "bench" / "parity.json").read_bytes()
        write_atomically(kept / f"{folder.name}.parity.json", report)
        if folder.name == SHOWN:
            for name in PICTURES:
                write_atomically(kept / name, (folder / name).read_bytes())


def _is_benched(folder: Path, external: list[str]) -> bool:
    report = folder / "bench" / "parity.json"
    if not report.is_file():
        return False
    measured = {outside["dataset"]["name"] for outside in read_json(report).get("external", ())}
    return {given.partition("=")[0] for given in external} <= measured


def _candidates_of(folder: Path) -> list[Candidate]:
    return read_candidates(folder.name, read_json(folder / "bench" / "parity.json"))


def _describe_pareto(folder: Path) -> str:
    data = read_json(folder / "bench" / "parity.json")["dataset"]
    return f"{data['name']}: {data['images']} images, {data['malignant']} malignant"


def _run(*words: str) -> None:
    """One command; a candidate that does not keep the contract (1) is a result, not a failure."""
    command = [sys.executable, "-m", "edge_melanoma", *words]
    print(json.dumps(command), file=sys.stderr)
    code = subprocess.run(command, check=False).returncode
    if code not in (0, 1):
        sys.exit(code)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument(
        "--external",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="A data set from elsewhere, measured beside the inside test side. Repeatable.",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/results"))
    parser.add_argument("--readme", type=Path, help="Its part between the results markers.")
    parser.add_argument("--keep", type=Path, help="Where reports and pictures are copied to.")
    return parser.parse_args()


if __name__ == "__main__":
    main()
