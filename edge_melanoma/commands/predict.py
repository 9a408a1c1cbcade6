"""edge-melanoma predict: what a model says of pictures."""

from collections.abc import Sequence
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_melanoma.commands import options
from edge_melanoma.runtime.names import Engine

NAME = "predict"


def command(
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
