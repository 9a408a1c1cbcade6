"""The README's tables of some benched runs: inside and outside side by side, then every file."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pareto import pareto_front, read_candidates

from edge_melanoma.benchmarks.report.tables import outside_section
from edge_melanoma.evaluation.evaluation import METRICS, WITHOUT_LEAKED, format_share
from edge_melanoma.evaluation.tables import describe_measured_sets
from edge_melanoma.machine.files import read_json
from edge_melanoma.machine.markdown import table_of
from edge_melanoma.network.recipes import PUBLISHED, Variant

INSIDE_COLUMNS = (
    "variant",
    "side",
    "threshold",
    "recall",
    "specificity",
    "precision",
    "F1",
    "accuracy",
    "AUC",
)
OUTSIDE_COLUMNS_OF_A_SET = ("recall (95 % interval)", "specificity", "AUC")
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
        *table_of(PARITY_COLUMNS, list(_parity_rows(reports))),
        "",
        "Drop = reference - candidate; upper 95 % is the one-sided bound of the recall drop; "
        "lost/gained counts malignant images; front: no other file is as good in recall, AUC, "
        "size and CPU time at once. Made by `make results`.",
        *_outside_lines(reports),
    ]


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
            (*INSIDE_COLUMNS, *outside, "train time"),
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
    for point in ("at_half", "at_operating_point"):
        beside = [cell for name in sets for cell in _outside_cells(external.get(name), point)]
        yield [variant, "test", *_inside_cells(sides["test"][point]), *beside, seconds]
    blank = [""] * len(OUTSIDE_COLUMNS_OF_A_SET) * len(sets)
    for side, title in ((WITHOUT_LEAKED, "test without leaked copies"), ("train", "train")):
        for point in ("at_half", "at_operating_point") if side in sides else ():
            yield [variant, title, *_inside_cells(sides[side][point]), *blank, seconds]
    original = PUBLISHED.get(Variant(variant))
    if original is not None:
        figures = ["0.5", f"{original.recall:.2f}", "", "", f"{original.f1:.4f}"]
        accuracy = f"{original.accuracy:.4f}"
        yield [variant, "original, 13,879 images", *figures, accuracy, "", *blank, ""]


def _inside_cells(measured: Mapping[str, Any]) -> list[str]:
    cells = [format_share(measured["metrics"][name]) for name in METRICS]
    return [f"{measured['threshold']:.3f}", *cells]


def _outside_cells(external: Mapping[str, Any] | None, point: str) -> list[str]:
    if external is None:
        return [""] * len(OUTSIDE_COLUMNS_OF_A_SET)
    measured = external[point]
    recall, *others = (
        format_share(measured["metrics"][name]) for name in ("recall", "specificity", "auc")
    )
    bounds = measured["intervals"].get("recall")
    return [f"{recall} ({bounds[0]:.3f} .. {bounds[1]:.3f})" if bounds else recall, *others]


def _outside_lines(reports: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    """Every file on each set from elsewhere, a table a set."""
    sets: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for variant, report in reports.items():
        for outside in report.get("external", ()):
            sets.setdefault(outside["dataset"]["name"], []).append((variant, outside))
    for entries in sets.values():
        tables = [(variant, outside_section(outside)) for variant, outside in entries]
        first = tables[0][1]
        yield from ("", f"{first.title}. At each variant's operating point:", "")
        rows = [[variant, *row] for variant, table in tables for row in table.rows]
        yield from table_of(("variant", *first.columns), rows)


def _parity_rows(reports: Mapping[str, dict[str, Any]]) -> Iterator[list[str]]:
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
