"""Every variant in every mode on real images, and the README's tables of what was measured.

    python benchmarks/measurements/results.py --data DIR --weights FILE [--external NAME=DIR]

Runs the commands themselves, each in a process of its own; runs that are finished are kept. Prints
the tables, and puts them between the markers of the README that is given.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from readme import update_readme

from edge_melanoma.benchmarks.report import tables
from edge_melanoma.benchmarks.sections import Column, rows_of
from edge_melanoma.evaluation.evaluation import METRICS, WITHOUT_LEAKED, format_share
from edge_melanoma.evaluation.figures import save_figure
from edge_melanoma.evaluation.tables import describe_measured_sets
from edge_melanoma.machine.files import write_atomically
from edge_melanoma.machine.markdown import table_of
from edge_melanoma.machine.schemas import read_json
from edge_melanoma.network.recipes import ORIGINAL, PUBLISHED, Variant

PARETO = "pareto.png"
MARKERS = "osD^vP*X"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
PICTURES = ("roc.png", "training_curves.png", "confusion.png")
SHOWN = Variant.PARTIAL
"""Whose pictures the README shows."""
MEASURED = tuple(variant.value for variant in (*ORIGINAL, Variant.COMPACT))
MODES = ("float16", "dynamic", "int8", "int8-qat")
"""Without int16x8, whose layers no delegate takes: 140 ms a picture."""

Model = Mapping[str, Any]
"""What a parity.json says of one file, and its variant."""


def main() -> None:
    """Train, export and bench what is missing, then write the tables."""
    options = _parse()
    external = [word for given in options.external for word in ("--external", given)]
    weights = ["--weights", options.weights]
    for variant in options.variants:
        start = weights
        if variant == Variant.COMPACT:
            start = ["--teacher", str(options.out / Variant.PARTIAL)]
        words = ["--data", str(options.data), "--resume", "--out", str(options.out / variant)]
        run_command("train", "--variant", variant, *words, *start, *external)
    folders = [options.out / variant for variant in options.variants]
    for folder in folders:
        run_command("export", str(folder), *(f"--quantize={mode}" for mode in MODES))
        if not _is_benched(folder, options.external):
            run_command("bench", str(folder), *external)
    reports = {folder.name: read_json(folder / "bench" / "parity.json") for folder in folders}
    found = [model for name, told in reports.items() for model in read_candidates(name, told)]
    data = reports[folders[0].name]["dataset"]
    title = f"{data['name']}: {data['images']} images, {data['malignant']} malignant"
    draw_pareto(found, options.out / PARETO, title=title)
    lines = render_results(folders)
    print("\n".join(lines))
    if options.readme:
        update_readme(options.readme, name="results", lines=lines)
    if options.keep:
        keep_evidence(folders, options.keep)


def render_results(folders: list[Path]) -> list[str]:
    """The tables of some benched runs, as lines of Markdown."""
    evaluations = {folder.name: read_json(folder / "evaluation.json") for folder in folders}
    reports = {folder.name: read_json(folder / "bench" / "parity.json") for folder in folders}
    manifests = {folder.name: read_json(folder / "manifest.json") for folder in folders}
    first = next(iter(reports.values()))
    machine, samples = first["machine"], first["reference"]["latency_ms"]
    return [
        *_training_lines(evaluations, manifests, machine),
        "",
        f"The same {first['dataset']['images']} test images ({first['dataset']['malignant']} "
        "malignant) through Keras and every exported file, at each variant's operating point "
        f"(validation recall 0.95), one thread, {samples['runs']} timed runs after "
        f"{samples['warmup']}, load {machine['load']:.1f}:",
        "",
        *table_of([head for head, _ in PARITY], rows_of(PARITY, _files(reports))),
        "",
        "Drop = reference - candidate; upper 95 % is the one-sided bound of the recall drop; "
        "lost/gained counts malignant images; mean difference is that of scores; front: no other "
        "file is as good in recall, AUC, size and CPU time at once. Made by `python "
        "benchmarks/measurements/results.py --data DIR --weights FILE --variant "
        f"{' '.join(reports)}`.",
        *_outside_lines(reports),
    ]


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


def run_command(*words: str) -> None:
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
    parser.add_argument(
        "--variant",
        dest="variants",
        nargs="+",
        choices=MEASURED,
        default=MEASURED,
        help="The recipes; compact has partial as its teacher, which is to come before it.",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/results"))
    parser.add_argument("--readme", type=Path, help="Its part between the results markers.")
    parser.add_argument("--keep", type=Path, help="Where reports and pictures are copied to.")
    return parser.parse_args()


INSIDE_COLUMNS = ("variant", "side", "threshold")
METRIC_COLUMNS = ("recall", "specificity", "precision", "F1", "accuracy", "AUC")
TITLES = {"test": "test", WITHOUT_LEAKED: "test without leaked copies", "train": "train"}
OUTSIDE_COLUMNS_OF_A_SET = ("recall (95 % interval)", "specificity", "AUC")


def _training_lines(
    evaluations: Mapping[str, dict[str, Any]],
    manifests: Mapping[str, dict[str, Any]],
    machine: Mapping[str, Any],
) -> list[str]:
    """The main table, its columns from outside beside the inside ones, and what each set is."""
    first = next(iter(manifests.values()))
    data, split = next(iter(evaluations.values()))["dataset"], first["split"]
    found = [one.get("external", {}) for one in evaluations.values()]
    sets = list(dict.fromkeys(name for external in found for name in external))
    outside = [f"{title}, {name}" for name in sets for title in OUTSIDE_COLUMNS_OF_A_SET]
    told = [line for one in evaluations.values() for line in describe_measured_sets(one)]
    return [
        f"Trained on {data['name']} ({data['images']} images, {data['malignant']} malignant; "
        f"{split['kind']} split, seed {split['seed']}), "
        f"TensorFlow {first['environment']['packages']['tensorflow']}, {machine['cpu']}, "
        f"{machine['cores']} cores. The threshold that is not 0.5 is the operating point, chosen "
        "on validation for a recall of 0.95"
        + (f"; the columns of {', '.join(sets)} are measured outside:" if sets else ":"),
        "",
        *table_of(
            (*INSIDE_COLUMNS, *METRIC_COLUMNS, *outside, "train time"),
            [
                row
                for variant, evaluation in evaluations.items()
                for row in _training_rows(variant, evaluation, manifests[variant], sets)
            ],
        ),
        "",
        *(f"- {line}" for line in dict.fromkeys(told)),
    ]


def _training_rows(
    variant: str, evaluation: Mapping[str, Any], manifest: Mapping[str, Any], sets: Sequence[str]
) -> Iterator[list[str]]:
    seconds = f"{manifest['training']['seconds']:.0f} s"
    sides, external = evaluation["sides"], evaluation.get("external", {})
    for side, title in TITLES.items():
        outside = external if side == "test" else {}
        for point in ("at_half", "at_operating_point") if side in sides else ():
            measured = sides[side][point]
            cells = [format_share(measured["metrics"][name]) for name in METRICS]
            beside = [cell for name in sets for cell in _outside_cells(outside.get(name), point)]
            yield [variant, title, f"{measured['threshold']:.3f}", *cells, *beside, seconds]
    if original := PUBLISHED.get(Variant(variant)):
        figures = ["0.5", f"{original['recall']:.2f}", "", "", f"{original['f1']:.4f}"]
        accuracy = f"{original['accuracy']:.4f}"
        blank = [""] * len(OUTSIDE_COLUMNS_OF_A_SET) * len(sets)
        yield [variant, "original, 13,879 images", *figures, accuracy, "", *blank, ""]


def _outside_cells(external: Mapping[str, Any] | None, point: str) -> list[str]:
    if external is None:
        return [""] * len(OUTSIDE_COLUMNS_OF_A_SET)
    measured = external[point]
    shown = ("recall", "specificity", "auc")
    recall, *others = (format_share(measured["metrics"][name]) for name in shown)
    bounds = measured["intervals"].get("recall")
    return [f"{recall} ({bounds[0]:.3f} .. {bounds[1]:.3f})" if bounds else recall, *others]


def _outside_lines(reports: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    """Every file on each set from elsewhere, a table a set."""
    sets: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for variant, report in reports.items():
        for outside in report.get("external", ()):
            sets.setdefault(outside["dataset"]["name"], []).append((variant, outside))
    for entries in sets.values():
        sections = [(variant, tables.outside_section(outside)) for variant, outside in entries]
        first = sections[0][1]
        yield from ("", f"{first.title}. At each variant's operating point:", "")
        rows = [[variant, *row] for variant, section in sections for row in section.rows]
        yield from table_of(("variant", *first.columns), rows)


PARITY: tuple[Column, ...] = (
    ("variant", "{0[variant]}"),
    ("model", "{0[mode]}"),
    (
        "recall (95 % interval)",
        "{0[metrics][recall]:.4f} ({0[intervals][recall][0]:.3f} .. {0[intervals][recall][1]:.3f})",
    ),
    ("drop", tables.compared("{0[drop][recall]:+.4f}")),
    ("upper 95 %", tables.compared("{0[tests][recall_drop_upper95]:.4f}")),
    ("specificity", "{0[metrics][specificity]:.4f}"),
    ("accuracy", "{0[metrics][accuracy]:.4f}"),
    ("drop", tables.compared("{0[drop][accuracy]:+.4f}")),
    ("AUC", "{0[metrics][auc]:.4f}"),
    ("agreement", tables.compared(tables.AGREEMENT)),
    ("mean difference", tables.compared("{0[mean_score_difference]:.4f}")),
    ("lost/gained", tables.compared(tables.LOST_AND_GAINED)),
    ("MB", lambda model: f"{model['size_bytes'] / 1e6:.2f}"),
    ("CPU p50 ms", "{0[latency_ms][cpu_p50]:.2f}"),
    ("front", lambda model: "yes" if model["front"] else ""),
    ("sha256", "`{0[sha256]:.12}`"),
)


def _files(reports: Mapping[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every model of every variant, with whether it stands on the front of all of them."""
    found = [one for name, report in reports.items() for one in read_candidates(name, report)]
    front = {(model["variant"], model["mode"]) for model in pareto_front(found)}
    for variant, report in reports.items():
        for model in [report["reference"], *report["candidates"]]:
            yield {**model, "variant": variant, "front": (variant, model["mode"]) in front}


def read_candidates(variant: str, report: Mapping[str, Any]) -> list[Model]:
    """The exported files of a parity.json whose latency was measured, each with its variant."""
    return [{**m, "variant": variant} for m in report["candidates"] if m.get("latency_ms")]


def pareto_front(candidates: Sequence[Model]) -> list[Model]:
    """Those that no other one beats somewhere without being worse anywhere, best recall first."""
    shares = [[model["metrics"][name] for name in ("recall", "auc")] for model in candidates]
    costs = [[model["size_bytes"], model["latency_ms"]["cpu_p50"]] for model in candidates]
    rows = np.hstack([np.array(shares), -np.array(costs)])
    beaten = [((rows >= row).all(axis=1) & (rows > row).any(axis=1)).any() for row in rows]
    front = [model for model, is_beaten in zip(candidates, beaten, strict=True) if not is_beaten]
    return sorted(front, key=lambda model: -model["metrics"]["recall"])


def draw_pareto(candidates: Sequence[Model], path: Path, *, title: str) -> Path:
    """Recall with its 95 % interval against size and against CPU time; the front is filled."""
    front = pareto_front(candidates)
    variants = list(dict.fromkeys(model["variant"] for model in candidates))
    modes = list(dict.fromkeys(model["mode"] for model in candidates))
    figure = Figure(figsize=(12.5, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, label in ((left, "size, MB"), (right, "CPU ms a picture")):
        for model in candidates:
            colour = COLOURS[variants.index(model["variant"]) % len(COLOURS)]
            recall, (low, high) = model["metrics"]["recall"], model["intervals"]["recall"]
            axes.errorbar(
                model["size_bytes"] / 1e6 if axes is left else model["latency_ms"]["cpu_p50"],
                recall,
                yerr=[[recall - low], [high - recall]],
                fmt=MARKERS[modes.index(model["mode"]) % len(MARKERS)],
                color=colour,
                markerfacecolor=colour if model in front else "white",
                elinewidth=0.5,
                label=f"{model['variant']} {model['mode']}",
            )
        axes.set(xscale="log", xlabel=label)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(visible=True, which="both", alpha=0.3)
    left.set_ylabel("recall at the operating point, 95 % interval")
    figure.legend(*right.get_legend_handles_labels(), fontsize=7, loc="outside right center")
    figure.suptitle(f"{title}\nfilled: no other file is as good in recall, AUC, size and time")
    return save_figure(figure, path)


if __name__ == "__main__":
    main()
