"""Recipes judged on a clinic that they have not seen, for each clinic in turn, and within clinics.

    python benchmarks/measurements/clinics.py --data DIR --data DIR ... --weights FILE --out DIR

Trains each recipe without one source and scores all pictures of that source; then with all sources,
and scores the validation side within each. Test sides play no part. Rows that are finished are
kept in OUT/clinics.json; the tables go between the markers of the README that is given.
"""

import argparse
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from readme import update_readme

from edge_melanoma.data.clinics import LEAST_JUDGED, count_sources, source_of
from edge_melanoma.data.copies.search import split_without_copies
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.data.screening import default_fingerprint_folder, read_fingerprints
from edge_melanoma.data.sets import leave_out_one_sided, name_folders, read_data_sets
from edge_melanoma.data.splits import DatasetSplit, SplitKind
from edge_melanoma.evaluation.predictions import predict
from edge_melanoma.evaluation.sources import auc_within, without_carcinomas
from edge_melanoma.machine.environment import describe_environment
from edge_melanoma.machine.files import write_json
from edge_melanoma.machine.markdown import table_of
from edge_melanoma.machine.schemas import read_json
from edge_melanoma.machine.terminal import Reporter, TerminalReporter
from edge_melanoma.network.recipes import (
    BEST,
    EVERY_CLINIC,
    LOW_RESOLUTION,
    OTHER_CLINICS,
    Variant,
    VariantSpec,
)
from edge_melanoma.runtime.classifiers import KerasClassifier
from edge_melanoma.training.activations import default_cache_folder
from edge_melanoma.training.material import TrainingSettings
from edge_melanoma.training.training import train_network

ALL = "none"
"""Left out where all sources are trained on, and validation judges."""

STAGE = replace(LOW_RESOLUTION, name="96 pixels", image_size=96, epochs=2, warmup_steps=50)
SHORT = replace(BEST, stages=(STAGE,), sampling=replace(EVERY_CLINIC, views=8_000))


def _staged(**changes: Any) -> VariantSpec:
    return replace(SHORT, stages=(replace(STAGE, **changes),))


def _varied(**changes: Any) -> VariantSpec:
    return _staged(augmentation=replace(OTHER_CLINICS, **changes))


RECIPES: Mapping[str, VariantSpec] = MappingProxyType(
    {
        "best, in short": SHORT,
        "every picture once an epoch": replace(SHORT, sampling=None),
        "no diagnoses": replace(SHORT, diagnosis_loss=0.0),
        "diagnoses drawn as they are met": replace(
            SHORT, sampling=replace(EVERY_CLINIC, views=8_000, diagnoses=())
        ),
        "sharp pictures stay sharp": _varied(low_resolution=0.0),
        "field of the picture": _varied(field=(1.0, 1.0)),
        "light and colour as they are": _varied(appearance=None),
        "no averaged weights": _staged(average_decay=0.0),
        "128 pixels": _staged(image_size=128, name="128 pixels"),
        "whole": BEST,
    }
)


def main() -> None:
    """Train what is missing, then write the tables."""
    options = _parse()
    reporter = TerminalReporter()
    split = _read_split(options.data, reporter)
    path = options.out / "clinics.json"
    rows: dict[str, dict[str, Any]] = read_json(path)["rows"] if path.is_file() else {}
    for name in options.recipe or [name for name in RECIPES if name != "whole"]:
        for left_out in options.left_out or [*_judged_sources(split), ALL]:
            key = f"{name} without {left_out}"
            if key not in rows:
                rows[key] = _measure(name, left_out, split, options, reporter)
                # The command names folders of this machine.
                made = {k: v for k, v in describe_environment().items() if k != "command"}
                write_json(path, {"schema": 1, "rows": rows, "environment": made})
            reporter.say(f"{key}: {rows[key]['auc']}")
    lines = render_clinics(rows, command=f"python {Path(__file__).name}")
    print("\n".join(lines))
    if options.readme:
        update_readme(options.readme, name="clinics", lines=lines)


def render_clinics(rows: Mapping[str, Mapping[str, Any]], *, command: str) -> list[str]:
    """A row a recipe: AUC on each source left out, their mean, and within sources on validation."""
    names = list(dict.fromkeys(row["recipe"] for row in rows.values()))
    sources = sorted({row["left_out"] for row in rows.values()} - {ALL})
    table = [
        ["recipe", *(f"{source} left out" for source in sources), "mean", "validation", "CPU min"]
    ]
    for name in names:
        own = {row["left_out"]: row for row in rows.values() if row["recipe"] == name}
        outside = [own[source]["auc"][source] if source in own else None for source in sources]
        known = [auc for auc in outside if auc is not None]
        inside = list(own[ALL]["auc"].values()) if ALL in own else []
        minutes = sum(row["cpu_seconds"] for row in own.values()) / 60
        whole = len(known) == len(sources)
        table.append(
            [
                name,
                *("" if auc is None else f"{auc:.3f}" for auc in outside),
                f"{np.mean(known):.3f}" if known and whole else "",
                f"{np.mean(inside):.3f}" if inside else "",
                f"{minutes:.1f}",
            ]
        )
    head, *rows_shown = table
    return [*table_of(head, rows_shown), "", f"One seed; made by `{command}`."]


def _read_split(folders: list[Path], reporter: Reporter) -> DatasetSplit:
    records = leave_out_one_sided(read_data_sets(name_folders(folders)), reporter=reporter)
    cache = default_fingerprint_folder()
    prints = read_fingerprints(records, cache_folder=cache, reporter=reporter)
    kind = SplitKind.FOLDERS if any(r.side == "test" for r in records) else SplitKind.POOLED
    return split_without_copies(prints, kind=kind, seed=0, cache_folder=cache, reporter=reporter)


def _judged_sources(split: DatasetSplit) -> list[str]:
    counts = count_sources(split.train)
    return [name for name, both in counts.items() if min(both) >= LEAST_JUDGED]


def _measure(
    name: str,
    left_out: str,
    split: DatasetSplit,
    options: argparse.Namespace,
    reporter: Reporter,
) -> dict[str, Any]:
    """Train one recipe without one source, and its AUCs on what it has not seen of it."""

    def rest(records: tuple[LesionRecord, ...]) -> tuple[LesionRecord, ...]:
        return tuple(record for record in records if source_of(record) != left_out)

    folder = options.out / f"{name} without {left_out}".replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    begin = time.process_time()
    reduced = replace(split, train=rest(split.train), validation=rest(split.validation))
    result = train_network(
        reduced,
        TrainingSettings(variant=Variant.BEST, weights=options.weights, recipe=RECIPES[name]),
        run_folder=folder,
        cache_folder=default_cache_folder(),
        reporter=reporter,
        resume=True,
    )
    judged = split.validation
    if left_out != ALL:
        seen = {key for r in (*reduced.train, *reduced.validation) for key in r.kin()}
        everything = (*split.train, *split.validation, *split.test)
        judged = tuple(
            r for r in everything if source_of(r) == left_out and seen.isdisjoint(r.kin())
        )
    scores = without_carcinomas(
        predict(KerasClassifier(result.network), judged, reporter=reporter, label=left_out)
    )
    sources = [origin.source for origin in scores.origins]
    return {
        "recipe": name,
        "left_out": left_out,
        "auc": auc_within(scores.scores, scores.labels, sources),
        "images": len(scores.labels),
        "malignant": int(scores.labels.sum()),
        "cpu_seconds": time.process_time() - begin,
        "load": os.getloadavg()[0],
    }


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--out", type=Path, default=Path("build/clinics"))
    parser.add_argument("--recipe", action="append", choices=RECIPES)
    parser.add_argument("--left-out", action="append")
    parser.add_argument("--readme", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
