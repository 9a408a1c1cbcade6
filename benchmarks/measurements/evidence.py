"""The smaller tables of docs/quantisation.md: other split seeds, the other quantiser, calibration.

    python benchmarks/measurements/evidence.py RESULTS --data DIR --weights FILE [--readme FILE]

RESULTS is what `results.py` wrote. Beside its runs, `VARIANT-s1` and `VARIANT-s2` are trained with
`--seed 1` and `2`, `VARIANT-litert` is a copy exported with `--backend litert`, and each is
benched; what is there is kept. The study of `partial`, where there is one, is that of
`calibration_study.py`.
"""

import argparse
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from readme import update_readme
from results import run_command

from edge_melanoma.benchmarks.parity.comparison import find_flips
from edge_melanoma.benchmarks.parity.paired_tests import exact_mcnemar, score_upper_bound
from edge_melanoma.benchmarks.sections import Column, rows_of
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import PredictionSet, read_predictions
from edge_melanoma.machine.files import write_atomically
from edge_melanoma.machine.markdown import table_of
from edge_melanoma.machine.schemas import read_json
from edge_melanoma.runs.models import open_run

STUDY = "calibration_study"
STUDIED = "partial"
COMPARED = ("frozen", "partial")
OTHER_SEEDS = (1, 2)
STUDY_COLUMNS = (
    "images",
    "recall, mean (min .. max)",
    "AUC, mean (min .. max)",
    "mean difference of scores",
    "agreement",
)


def main() -> None:
    """Print the tables, and put them where they belong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("results", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--readme", type=Path, help="Its parts between the markers.")
    parser.add_argument("--keep", type=Path, help="Where the study and its picture are copied to.")
    options = parser.parse_args()
    for variant in COMPARED:
        for seed in OTHER_SEEDS:
            folder = options.results / f"{variant}-s{seed}"
            words = ["--variant", variant, "--seed", f"{seed}", "--resume", "--out", str(folder)]
            run_command("train", *words, "--data", str(options.data), "--weights", options.weights)
            _export_and_bench(folder)
        copy_run(options.results / variant, options.results / f"{variant}-litert")
        _export_and_bench(options.results / f"{variant}-litert", "--backend", "litert")
    for name, lines in _sections(options.results):
        print("\n".join([*lines, ""]))
        if options.readme:
            update_readme(options.readme, name=name, lines=lines)
    study = options.results / STUDIED / "exports" / f"{STUDY}.json"
    if options.keep and study.is_file():
        for suffix in ("json", "png"):
            source = study.with_suffix(f".{suffix}")
            write_atomically(options.keep / source.name, source.read_bytes())


def _export_and_bench(run: Path, *options: str) -> None:
    """The int8 file of a run, held against its network, unless that was done."""
    if not (run / "bench" / "parity.json").is_file():
        run_command("export", str(run), "--quantize", "int8", *options)
        run_command("bench", str(run))


def copy_run(run: Path, copy: Path) -> None:
    """What training wrote of a run, without exports and bench."""
    if not copy.exists():
        shutil.copytree(run, copy, ignore=shutil.ignore_patterns("exports", "bench"))


def _sections(results: Path) -> Iterator[tuple[str, list[str]]]:
    study = results / STUDIED / "exports" / f"{STUDY}.json"
    if study.is_file():
        yield "study", render_study(read_json(study))
    yield "backends", render_backends(results)
    yield "seeds", render_seeds(results)


def render_study(study: dict[str, Any]) -> list[str]:
    """A line a size: how far recall and AUC move with the images that were drawn."""
    sizes = dict.fromkeys(subset["images"] for subset in study["subsets"])
    float_row = [f"{study['reference'][name]:.4f}" for name in ("recall", "auc")]
    rows = [["float", *float_row, "", ""]]
    for size in sizes:
        subsets = [subset for subset in study["subsets"] if subset["images"] == size]
        spreads = [_spread([subset[name] for subset in subsets]) for name in ("recall", "auc")]
        nearness, agreement = (
            sum(subset[name] for subset in subsets) / len(subsets)
            for name in ("mean_score_difference", "agreement")
        )
        rows.append([f"{size}", *spreads, f"{nearness:.4f}", f"{agreement:.1%}"])
    data = study["validation"]
    told = (
        f"{data['name']}: {data['images']} images, {data['malignant']} malignant; "
        f"`{study['variant']}` at threshold {study['threshold']:.3f}. {study['conclusion']}"
    )
    return [*table_of(STUDY_COLUMNS, rows), "", told]


def _spread(values: list[float]) -> str:
    return f"{sum(values) / len(values):.4f} ({min(values):.4f} .. {max(values):.4f})"


BACKENDS: tuple[Column, ...] = (
    ("variant", "{0[variant]}"),
    ("quantiser", "{0[quantiser]}"),
    ("recall", "{0[metrics][recall]:.4f}"),
    ("lost/gained", "{0[flips][lost_malignant]}/{0[flips][gained_malignant]}"),
    ("accuracy drop", "{0[drop][accuracy]:+.4f}"),
    ("AUC", "{0[metrics][auc]:.4f}"),
    ("agreement", "{0[agreement]:.2%}"),
    ("MB", lambda model: f"{model['size_bytes'] / 1e6:.2f}"),
    ("CPU p50 ms", "{0[latency_ms][cpu_p50]:.2f}"),
    ("sha256", "`{0[sha256]:.12}`"),
)


def render_backends(results: Path) -> list[str]:
    """The int8 files of both quantisers, variant by variant."""
    models = []
    for folder in sorted(results.glob("*-litert")):
        variant = folder.name.removesuffix("-litert")
        for quantiser, run in (("converter", results / variant), ("litert", folder)):
            models.append({"variant": variant, "quantiser": quantiser, **_int8_of(run)})
    return table_of([head for head, _ in BACKENDS], rows_of(BACKENDS, models))


def _int8_of(run: Path) -> dict[str, Any]:
    report = read_json(run / "bench" / "parity.json")
    found: dict[str, Any] = next(m for m in report["candidates"] if m["mode"] == "int8")
    return found


def render_seeds(results: Path) -> list[str]:
    """What int8 and int8-qat lose over the split seeds of each variant that has several."""
    rows: list[tuple[str, ...]] = []
    for first in sorted({folder.name.split("-s")[0] for folder in results.glob("*-s[0-9]")}):
        folders = [results / first, *sorted(results.glob(f"{first}-s[0-9]"))]
        drops = [drop for drop in pool_drops(folders) if drop.mode.startswith("int8")]
        rows += [(first, *row) for row in rows_of(POOLED, drops)]
    return table_of(["variant", *(head for head, _ in POOLED)], rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledDrop:
    """One mode over all runs; a picture counts once for each run that it was tested in.

    Runs of other split seeds share pictures, so that the pooled bound is somewhat too narrow;
    `different_malignant` tells how many there are.
    """

    mode: str
    runs: int
    malignant: int
    different_malignant: int
    agreement: float
    lost_malignant: int
    gained_malignant: int
    new_false_alarm: int
    cleared_false_alarm: int
    recall_drop: float
    recall_drop_upper95: float
    mcnemar_p: float
    mcnemar_p_malignant: float


POOLED: tuple[Column, ...] = (
    ("mode", "{0.mode}"),
    ("runs", "{0.runs}"),
    ("malignant (different)", "{0.malignant} ({0.different_malignant})"),
    ("agreement", "{0.agreement:.2%}"),
    ("lost/gained", "{0.lost_malignant}/{0.gained_malignant}"),
    ("recall drop", "{0.recall_drop:+.4f}"),
    ("upper 95 %", "{0.recall_drop_upper95:.4f}"),
    ("false alarms new/cleared", "{0.new_false_alarm}/{0.cleared_false_alarm}"),
    ("McNemar p, all", "{0.mcnemar_p:.3f}"),
    ("McNemar p, malignant", "{0.mcnemar_p_malignant:.3f}"),
)


def pool_drops(folders: Sequence[Path]) -> list[PooledDrop]:
    """The modes that were benched in every run.

    Raises:
        EdgeMelanomaError: a run was not benched.
    """
    modes = [
        {path.stem.removeprefix("predictions_") for path in _bench(folder).glob("predictions_*")}
        for folder in folders
    ]
    return [_pool(mode, folders) for mode in sorted(set.intersection(*modes) - {"keras"})]


def _pool(mode: str, folders: Sequence[Path]) -> PooledDrop:
    counts: Counter[str] = Counter()
    pictures, malignant = 0, list[str]()
    for folder in folders:
        before, after = (_read(folder, name) for name in ("keras", mode))
        flips = find_flips(before, after, threshold=open_run(folder).threshold)
        counts.update(flips.counts())
        pictures += len(before.image_ids)
        malignant += [
            i for i, is_one in zip(before.image_ids, before.labels, strict=True) if is_one
        ]
    lost, gained = counts["lost_malignant"], counts["gained_malignant"]
    return PooledDrop(
        mode=mode,
        runs=len(folders),
        malignant=len(malignant),
        different_malignant=len(set(malignant)),
        agreement=1 - counts.total() / pictures,
        **counts,
        recall_drop=(lost - gained) / len(malignant),
        recall_drop_upper95=score_upper_bound(lost=lost, gained=gained, pairs=len(malignant)),
        mcnemar_p=exact_mcnemar(
            lost + counts["new_false_alarm"], gained + counts["cleared_false_alarm"]
        ),
        mcnemar_p_malignant=exact_mcnemar(lost, gained),
    )


def _bench(folder: Path) -> Path:
    bench = folder / "bench"
    if not (bench / "predictions_keras.csv").is_file():
        raise EdgeMelanomaError(
            f"The run {folder} was not benched; do it with: edge-melanoma bench {folder}"
        )
    return bench


def _read(folder: Path, name: str) -> PredictionSet:
    return read_predictions(_bench(folder) / f"predictions_{name}.csv")


if __name__ == "__main__":
    main()
