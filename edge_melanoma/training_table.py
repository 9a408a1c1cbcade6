"""The table that ends a training: recall first, on test and train, beside the original work."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from edge_melanoma.artifacts import TrainedModel
from edge_melanoma.variants import PUBLISHED, Variant

METRICS = ("recall", "specificity", "precision", "f1", "accuracy", "auc")


def print_training_table(runs: Sequence[tuple[TrainedModel, dict[str, Any]]]) -> None:
    """Print one row a run, side and threshold to stdout; `runs` pairs each with its evaluation."""
    dataset = runs[0][1]["dataset"]
    table = Table(
        title=f"{dataset['name']}: {dataset['images']} images, {dataset['malignant']} malignant",
        caption="Operating point: chosen on validation. Research only, not a medical device.",
    )
    for column in ("variant", "side", "threshold"):
        table.add_column(column)
    for column in (*METRICS, "train time"):
        table.add_column(column, justify="right")
    for run, evaluation in runs:
        for row in _rows_of(run, evaluation):
            table.add_row(*row)
        table.add_section()
    console = Console(soft_wrap=False, width=None if Console().is_terminal else 140)
    console.print(table)
    for run, _ in runs:
        console.print(f"{run.folder}", highlight=False)


def _rows_of(run: TrainedModel, evaluation: dict[str, Any]) -> list[list[str]]:
    seconds = f"{run.manifest['training']['seconds']:.0f} s"
    rows = [
        [run.variant, side, *_figures_of(evaluation["sides"][side][point]), seconds]
        for side in ("test", "train")
        for point in ("at_half", "at_operating_point")
    ]
    published = PUBLISHED.get(Variant(run.variant))
    if published is not None:
        figures = {"recall": published.recall, "f1": published.f1, "accuracy": published.accuracy}
        cells = [f"{figures[name]:.4f}" if name in figures else "" for name in METRICS]
        rows.append([run.variant, "original work (13,879 images)", "0.5", *cells, ""])
    return rows


def _figures_of(measured: dict[str, Any]) -> list[str]:
    metrics = measured["metrics"]
    return [f"{measured['threshold']:.3f}", *(f"{metrics[name]:.4f}" for name in METRICS)]
