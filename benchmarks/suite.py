"""Every variant in every mode on real images, and the README's table from what was measured.

    python -m edge_melanoma.benchmarks.suite --data DIR --weights FILE [--out runs/results]

Runs the commands themselves, each in a process of its own; runs that are finished are kept. Prints
the tables, and puts them between the markers of the README that is given.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_melanoma.artifacts import read_json, write_atomically
from edge_melanoma.benchmarks.pareto import (
    Candidate,
    draw_pareto,
    pareto_front,
    read_candidates,
)
from edge_melanoma.benchmarks.readme import update_readme
from edge_melanoma.benchmarks.tables import markdown_table
from edge_melanoma.variants import ORIGINAL, PUBLISHED, Variant

MODES = ("all",)
PARETO = "pareto.png"
PICTURES = ("roc.png", "training_curves.png", "confusion.png")
SHOWN = Variant.PARTIAL
"""Whose pictures the README shows."""

TRAINING_COLUMNS = (
    "variant",
    "side",
    "recall",
    "specificity",
    "precision",
    "F1",
    "accuracy",
    "AUC",
    "train time",
)
PARITY_COLUMNS = (
    "variant",
    "model",
    "recall (95 % interval)",
    "drop",
    "upper 95 %",
    "specificity",
    "accuracy",
    "drop",
    "AUC",
    "agreement",
    "lost/gained",
    "MB",
    "CPU p50 ms",
    "front",
    "sha256",
)


def main() -> None:
    """Train, export and bench what is missing, then write the tables."""
    options = _parse()
    common = ["--data", str(options.data), "--weights", options.weights]
    _run("train", "--variant", "all", "--resume", "--out", str(options.out), *common)
    student = ["--variant", Variant.COMPACT, "--teacher", str(options.out / Variant.PARTIAL)]
    out = ["--resume", "--out", str(options.out / Variant.COMPACT)]
    _run("train", *student, *out, "--data", str(options.data))
    folders = [options.out / variant.value for variant in (*ORIGINAL, Variant.COMPACT)]
    for folder in folders:
        quantize = [word for mode in MODES for word in ("--quantize", mode)]
        _run("export", str(folder), *quantize)
        if not (folder / "bench" / "parity.json").is_file():
            _run("bench", str(folder))
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


def _candidates_of(folder: Path) -> list[Candidate]:
    return read_candidates(folder.name, read_json(folder / "bench" / "parity.json"))


def _describe_pareto(folder: Path) -> str:
    data = read_json(folder / "bench" / "parity.json")["dataset"]
    return f"{data['name']}: {data['images']} images, {data['malignant']} malignant"


def render_results(folders: list[Path]) -> list[str]:
    """The two tables of some benched runs, as lines of Markdown."""
    evaluations = {folder.name: read_json(folder / "evaluation.json") for folder in folders}
    reports = {folder.name: read_json(folder / "bench" / "parity.json") for folder in folders}
    manifests = {folder.name: read_json(folder / "manifest.json") for folder in folders}
    first = next(iter(reports.values()))
    data, machine = next(iter(evaluations.values()))["dataset"], first["machine"]
    environment = next(iter(manifests.values()))["environment"]
    samples = first["reference"]["latency_ms"]
    return [
        f"Trained on {data['name']} ({data['images']} images, {data['malignant']} malignant; "
        f"pooled split 70/15/15, seed 0), TensorFlow {environment['packages']['tensorflow']}, "
        f"{machine['cpu']}, {machine['cores']} cores. Threshold 0.5:",
        "",
        *markdown_table(TRAINING_COLUMNS, list(_training_rows(evaluations, manifests))),
        "",
        f"The same {first['dataset']['images']} test images ({first['dataset']['malignant']} "
        "malignant) through Keras and every exported file, at each variant's operating point "
        f"(validation recall 0.95), one thread, {samples['runs']} timed runs after "
        f"{samples['warmup']}, load {machine['load']:.1f}:",
        "",
        *markdown_table(PARITY_COLUMNS, list(_parity_rows(reports))),
        "",
        "Drop = reference - candidate; upper 95 % is the one-sided bound of the recall drop; "
        "lost/gained counts malignant images; front: no other file is as good in recall, AUC, "
        "size and CPU time at once. Made by `make results`.",
    ]


def _training_rows(
    evaluations: dict[str, dict[str, Any]], manifests: dict[str, dict[str, Any]]
) -> Iterator[list[str]]:
    for variant, evaluation in evaluations.items():
        seconds = f"{manifests[variant]['training']['seconds']:.0f} s"
        for side in ("test", "train"):
            m = evaluation["sides"][side]["at_half"]["metrics"]
            names = ("recall", "specificity", "precision", "f1", "accuracy", "auc")
            yield [variant, side, *(f"{m[name]:.4f}" for name in names), seconds]
        original = PUBLISHED.get(Variant(variant))
        if original is not None:
            figures = [f"{original.recall:.2f}", "", "", f"{original.f1:.4f}"]
            accuracy = f"{original.accuracy:.4f}"
            yield [variant, "original, 13,879 images", *figures, accuracy, "", ""]


def _parity_rows(reports: dict[str, dict[str, Any]]) -> Iterator[list[str]]:
    found = [c for variant, report in reports.items() for c in read_candidates(variant, report)]
    front = {(candidate.variant, candidate.mode) for candidate in pareto_front(found)}
    for variant, report in reports.items():
        for model in [report["reference"], *report["candidates"]]:
            m, drop, flips = model["metrics"], model.get("drop"), model.get("flips")
            low, high = model["intervals"]["recall"]
            yield [
                variant,
                model["mode"],
                f"{m['recall']:.4f} ({low:.3f} .. {high:.3f})",
                f"{drop['recall']:+.4f}" if drop else "",
                f"{model['tests']['recall_drop_upper95']:.4f}" if drop else "",
                f"{m['specificity']:.4f}",
                f"{m['accuracy']:.4f}",
                f"{drop['accuracy']:+.4f}" if drop else "",
                f"{m['auc']:.4f}",
                f"{model['agreement']:.2%}" if drop else "",
                f"{flips['lost_malignant']}/{flips['gained_malignant']}" if flips else "",
                f"{model['size_bytes'] / 1e6:.2f}",
                f"{model['latency_ms']['cpu_p50']:.2f}",
                "yes" if (variant, model["mode"]) in front else "",
                f"`{model['sha256'][:12]}`",
            ]


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
    parser.add_argument("--out", type=Path, default=Path("runs/results"))
    parser.add_argument("--readme", type=Path, help="Its part between the results markers.")
    parser.add_argument("--keep", type=Path, help="Where reports and pictures are copied to.")
    return parser.parse_args()


if __name__ == "__main__":
    main()
