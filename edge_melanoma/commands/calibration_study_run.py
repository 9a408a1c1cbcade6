"""What `export --calibration-study` does: repeat int8 with other images and show what moves."""

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from edge_melanoma.converters.calibration_study import (
    SUBSETS,
    CalibrationStudy,
    refuse_other_exports,
    study_calibration,
    study_path,
)
from edge_melanoma.converters.settings import ExportSettings
from edge_melanoma.machine.terminal import TerminalReporter, results_console
from edge_melanoma.runs.bundled import find_run_or_bundled
from edge_melanoma.runs.folders import hold_run, refuse_unwritable
from edge_melanoma.runs.pictures import read_run_records
from edge_melanoma.tflite.modes import Mode


def study_and_show(
    folder: Path | None,
    settings: ExportSettings,
    *,
    modes: tuple[Mode, ...] = (Mode.INT8,),
    force: bool,
) -> CalibrationStudy:
    """Study a run's calibration, print a row a size, and return the study."""
    refuse_other_exports(settings, modes)
    run = find_run_or_bundled(folder)
    TerminalReporter().say(f"Calibrating {run.folder} with {SUBSETS} subsets of each size")
    with hold_run(run.folder):
        refuse_unwritable(study_path(run))
        records = read_run_records(run)
        study = study_calibration(run, records=records, settings=settings, force=force)
    console = results_console(width=160)
    console.print(_table(study))
    if study.plan["left_out"]:
        sizes = ", ".join(str(size) for size in study.plan["left_out"])
        console.print(
            f"Left out: {sizes} images, of which the training side has no {SUBSETS} disjoint "
            f"subsets with half of each class.",
            highlight=False,
            soft_wrap=True,
        )
    console.print(study.conclude(), highlight=False, soft_wrap=True)
    for path in (study_path(run), study_path(run).with_suffix(".png")):
        console.print(str(path), highlight=False, markup=False, soft_wrap=True)
    return study


def _table(study: CalibrationStudy) -> Table:
    side, threshold = study.plan["validation"], study.plan["threshold"]
    title = (
        f"int8 by calibration images, {side['name']} ({side['images']} images, "
        f"{side['malignant']} malignant), threshold {threshold:.3f}"
    )
    table = Table(title=escape(title))  # a data set may be called "a[b]"
    for column in (
        "calibration images",
        "subsets",
        "recall",
        "min .. max",
        "AUC",
        "min .. max",
        "mean |dp|",
        "agreement",
    ):
        table.add_column(column)
    recall, auc = study.reference["recall"], study.reference["auc"]
    table.add_row("float, stored scores", "", f"{recall:.4f}", "", f"{auc:.4f}", "", "", "")
    for size in study.sizes:
        table.add_row(*_cells(study, size))
    return table


def _cells(study: CalibrationStudy, size: int) -> list[str]:
    recalls, aucs, differences, agreements = (
        study.values(number, images=size)
        for number in ("recall", "auc", "mean_score_difference", "agreement")
    )
    return [
        f"{size}",
        f"{len(recalls)}",
        _mean(recalls),
        _ends(recalls),
        _mean(aucs),
        _ends(aucs),
        _mean(differences),
        _mean(agreements),
    ]


def _mean(values: tuple[float, ...]) -> str:
    return f"{sum(values) / len(values):.4f}"


def _ends(values: tuple[float, ...]) -> str:
    return f"{min(values):.4f} .. {max(values):.4f}"
