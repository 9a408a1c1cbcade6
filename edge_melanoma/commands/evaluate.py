"""edge-melanoma evaluate and predict: metrics of a model on data sets, its scores of pictures."""

from collections.abc import Sequence
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_melanoma.commands import options
from edge_melanoma.data.sets import name_external_sets
from edge_melanoma.runtime.names import Engine


def evaluate(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="RUN_OR_MODEL", help="A run folder, a .tflite file, or the word bundled."
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help="Another data set (external validation); without it, the run's own test side.",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", min=0.0, max=1.0, help="Instead of the model's own."),
    ] = None,
    external: options.ExternalSets = None,
    interpreter: options.InterpreterOption = None,
    engine: options.EngineOption = Engine.LOCAL,
    workers: options.WorkersOption = None,
    address: options.AddressOption = None,
    json: options.JsonFile = None,
) -> None:
    """Recall first, each metric with its 95 % interval and what it was measured on."""
    ray = options.choose_ray(engine, workers=workers, address=address)
    folders = name_external_sets(external or ())
    from edge_melanoma.evaluation.subject import evaluate_subject, open_model
    from edge_melanoma.evaluation.tables import show_evaluation
    from edge_melanoma.machine.files import write_json
    from edge_melanoma.machine.terminal import TerminalReporter
    from edge_melanoma.runs.folders import refuse_unwritable

    refuse_unwritable(json)
    subject = open_model(model, threshold=threshold, interpreter=interpreter, ray=ray)
    result = evaluate_subject(subject, data=data, external=folders, reporter=TerminalReporter())
    if json is not None:
        write_json(json, result)
    show_evaluation(result)


def predict(
    model: Annotated[
        Path,
        typer.Argument(metavar="MODEL", help="A .tflite file, a run folder, or the word bundled."),
    ],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="JPEG or PNG files.")],
    interpreter: options.InterpreterOption = None,
    engine: options.EngineOption = Engine.LOCAL,
    workers: options.WorkersOption = None,
    address: options.AddressOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Score pictures; the decision is made at the model's operating point. Research only.

    Of a picture that cannot be read the reason is told; the others are scored. Files that a data
    set would skip are skipped here too.
    """
    ray = options.choose_ray(engine, workers=workers, address=address)
    from edge_melanoma.evaluation.subject import open_model, predict_files
    from edge_melanoma.machine.terminal import TerminalReporter

    subject = open_model(model, interpreter=interpreter, ray=ray)
    rows = predict_files(subject, images, reporter=TerminalReporter())
    if as_json:
        print(dumps(rows, indent=2))
    else:
        _show(rows)


def _show(rows: Sequence[dict[str, Any]]) -> None:
    from rich.table import Table

    from edge_melanoma.machine.terminal import results_console

    table = Table(caption="Research only, not a medical device.")
    for column in ("file", "P(malignant)", "decision", "threshold"):
        table.add_column(column, overflow="fold")
    for row in rows:
        if "error" in row:
            cells = "", row["error"], ""
        else:
            cells = f"{row['p_malignant']:.4f}", row["decision"], f"{row['threshold']:.4f}"
        table.add_row(row["file"], *cells)
    results_console(width=140).print(table)
