"""The README's smaller tables: calibration, seeds and quantisers, from folders that were benched.

    python benchmarks/measurements/evidence.py RESULTS [--readme FILE] [--keep FOLDER]

RESULTS is what `suite` wrote, with these beside its runs: `VARIANT-s1`, `VARIANT-s2` trained with
`--seed 1` and `2`; `VARIANT-litert`, a copy exported with `--backend litert`; each benched. The
study of `partial` is that of `calibration_study.py`.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pooled import pool_drops, render_pooled
from readme import update_readme

from edge_melanoma.machine.files import read_json, write_atomically
from edge_melanoma.machine.markdown import table_of

STUDY = "calibration_study"
STUDIED = "partial"
STUDY_COLUMNS = (
    "images",
    "recall, mean (min .. max)",
    "AUC, mean (min .. max)",
    "mean difference of scores",
    "agreement",
)
BACKEND_COLUMNS = (
    "variant",
    "quantiser",
    "recall",
    "lost/gained",
    "accuracy drop",
    "AUC",
    "agreement",
    "MB",
    "CPU p50 ms",
    "sha256",
)


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


def render_backends(results: Path) -> list[str]:
    """The int8 files of both quantisers, variant by variant."""
    rows = []
    for folder in sorted(results.glob("*-litert")):
        variant = folder.name.removesuffix("-litert")
        for quantiser, run in (("converter", results / variant), ("litert", folder)):
            model = _int8_of(run)
            flips = model["flips"]
            rows.append(
                [
                    variant,
                    quantiser,
                    f"{model['metrics']['recall']:.4f}",
                    f"{flips['lost_malignant']}/{flips['gained_malignant']}",
                    f"{model['drop']['accuracy']:+.4f}",
                    f"{model['metrics']['auc']:.4f}",
                    f"{model['agreement']:.2%}",
                    f"{model['size_bytes'] / 1e6:.2f}",
                    f"{model['latency_ms']['cpu_p50']:.2f}",
                    f"`{model['sha256'][:12]}`",
                ]
            )
    return table_of(BACKEND_COLUMNS, rows)


def render_seeds(results: Path) -> list[str]:
    """What int8 and int8-qat lose over the split seeds of each variant that has several."""
    lines: list[str] = []
    for first in sorted({folder.name.split("-s")[0] for folder in results.glob("*-s[0-9]")}):
        folders = [results / first, *sorted(results.glob(f"{first}-s[0-9]"))]
        drops = [drop for drop in pool_drops(folders) if drop.mode.startswith("int8")]
        table = render_pooled(drops)
        head, rule, *rows = table
        lines += [] if lines else [f"| variant {head}", f"|---{rule}"]
        lines += [f"| {first} {row}" for row in rows]
    return lines


def _spread(values: list[float]) -> str:
    return f"{sum(values) / len(values):.4f} ({min(values):.4f} .. {max(values):.4f})"


def _int8_of(run: Path) -> dict[str, Any]:
    report = read_json(run / "bench" / "parity.json")
    found: dict[str, Any] = next(m for m in report["candidates"] if m["mode"] == "int8")
    return found


def _sections(results: Path) -> Iterator[tuple[str, list[str]]]:
    study = results / STUDIED / "exports" / f"{STUDY}.json"
    yield "study", render_study(read_json(study))
    yield "backends", render_backends(results)
    yield "seeds", render_seeds(results)


def main() -> None:
    """Print the tables, and put them where they belong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("results", type=Path)
    parser.add_argument("--readme", type=Path, help="Its parts between the markers.")
    parser.add_argument("--keep", type=Path, help="Where the study and its picture are copied to.")
    options = parser.parse_args()
    for name, lines in _sections(options.results):
        print("\n".join([*lines, ""]))
        if options.readme:
            update_readme(options.readme, name=name, lines=lines)
    if options.keep:
        for suffix in ("json", "png"):
            source = options.results / STUDIED / "exports" / f"{STUDY}.{suffix}"
            write_atomically(options.keep / f"{STUDY}.{suffix}", source.read_bytes())


if __name__ == "__main__":
    main()
