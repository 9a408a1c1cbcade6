"""edge-melanoma predict: what a model says of pictures."""

from json import dumps
from pathlib import Path
from typing import Annotated

from rich.table import Table
from typer import Argument, Option

from edge_melanoma.commands import options
from edge_melanoma.machine.terminal import TerminalReporter, results_console
from edge_melanoma.runtime.names import Engine

WORDS = {"malignant": "flagged", "benign": "not flagged", None: "no decision"}
"""For a person: a picture that is not flagged is not called benign."""


def command(
    model: Annotated[
        Path, Argument(metavar="MODEL", help="A .tflite file, a run folder, or the word bundled.")
    ],
    images: Annotated[list[Path], Argument(metavar="IMAGE...", help="JPEG or PNG files.")],
    threshold: Annotated[
        float | None, Option(min=0.0, max=1.0, help="Instead of the model's own.")
    ] = None,
    interpreter: options.InterpreterOption = None,
    engine: options.EngineOption = Engine.LOCAL,
    workers: options.WorkersOption = None,
    address: options.AddressOption = None,
    as_json: Annotated[bool, Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Score pictures; the decision is made at the model's operating point. Research only.

    Of a picture that cannot be read the reason is told; the others are scored. Files that a data
    set would skip are skipped here too.
    """
    ray = options.choose_ray(engine, workers=workers, address=address)
    from edge_melanoma.evaluation.subject import open_model, predict_files

    subject = open_model(model, threshold=threshold, interpreter=interpreter, ray=ray)
    rows = predict_files(subject, images, reporter=TerminalReporter())
    if as_json:
        print(dumps(rows, indent=2))
        return
    table = Table(caption="Research only, not a medical device.")
    for column in ("file", "P(malignant)", "decision", "threshold"):
        table.add_column(column, overflow="fold")
    for row in rows:
        if "error" in row:
            cells = "", row["error"], ""
        else:
            decided = WORDS[row["decision"]]
            shown = "" if row["threshold"] is None else f"{row['threshold']:.4f}"
            cells = f"{row['p_malignant']:.4f}", decided, shown
        table.add_row(row["file"], *cells)
    results_console(width=140).print(table)
