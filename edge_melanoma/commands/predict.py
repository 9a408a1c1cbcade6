"""edge-melanoma predict: what a model says of pictures."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from rich.table import Table
from typer import Argument, Option

from edge_melanoma.commands import options
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.command_line import ADVANCED, OUTPUT
from edge_melanoma.machine.files import rows_to_csv, write_atomically, write_result
from edge_melanoma.machine.terminal import TerminalReporter, print_table, results_console
from edge_melanoma.runtime.names import Engine

WORDS = {
    "malignant": "flagged",
    "refer": "see a doctor anyway",
    "benign": "not flagged",
    "not judged": "not judged",
    None: "no decision",
}
"""For a person: a picture that is not flagged is not called benign."""


def command(
    words: Annotated[
        list[str] | None,
        Argument(
            metavar="MODEL WHAT...",
            help="A .tflite file, a run folder, or the word bundled; then pictures, folders of "
            "pictures, or patterns such as 'scans/*.jpg'.",
        ),
    ] = None,
    model: Annotated[
        Path | None,
        Option(
            metavar="MODEL",
            autocompletion=options.complete_runs,
            show_default="the first argument",
            help="The model.",
        ),
    ] = None,
    recursive: Annotated[
        bool, Option("--recursive", help="Take the pictures in folders inside the folders too.")
    ] = False,
    listed: Annotated[
        str | None,
        Option(
            "--list",
            metavar="FILE",
            rich_help_panel=ADVANCED,
            help="A text file with further pictures, folders or patterns, one a line; - is stdin.",
        ),
    ] = None,
    threshold: options.Threshold = None,
    input_range: options.InputRange = None,
    malignant_index: options.MalignantIndex = None,
    logit: options.IsLogit = False,
    interpreter: options.InterpreterOption = None,
    engine: options.EngineOption = Engine.LOCAL,
    workers: options.WorkersOption = None,
    address: options.AddressOption = None,
    counts: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="Add these pictures, 20 or more, to a file of counts for edge-melanoma drift; it "
            "holds nothing about any single picture.",
        ),
    ] = None,
    json: options.JsonFile = None,
    csv: Annotated[
        Path | None,
        Option(metavar="FILE", rich_help_panel=OUTPUT, help="Write the result as a CSV table too."),
    ] = None,
) -> None:
    """Score pictures; the decision is made at the model's operating point. Research only.

    A picture that cannot be read is listed with the reason; the others are scored. Files that a
    data set would skip are skipped here too.

    Examples:
        edge-melanoma predict bundled photo.jpg
        edge-melanoma predict --model bundled photos --recursive --csv scores.csv
    """
    ray = options.choose_ray(engine, workers=workers, address=address)
    rest = list(words or ())
    first = model or (rest.pop(0) if rest else None)
    rest += _read_list(listed) if listed is not None else []
    if first is None or not rest:
        raise EdgeMelanomaError(
            "Expected a model and what to score, as in: edge-melanoma predict bundled photo.jpg; "
            "the model may be given with --model, and pictures in a file with --list."
        )
    from edge_melanoma.data.image_files import find_pictures
    from edge_melanoma.evaluation.decisions import predict_files
    from edge_melanoma.evaluation.subject import open_model
    from edge_melanoma.runs.folders import refuse_unwritable
    from edge_melanoma.tflite.ends import choose_ends

    refuse_unwritable(csv, json)
    reporter = TerminalReporter()
    images = find_pictures(rest, recursive=recursive, reporter=reporter)
    subject = open_model(
        Path(first),
        threshold=threshold,
        interpreter=interpreter,
        ray=ray,
        ends=choose_ends(input_range, malignant_index, logit),
    )
    rows = predict_files(subject, images, reporter=reporter, counts=counts)
    if csv is not None:
        flat = [_flatten(row) for row in rows]
        columns = dict.fromkeys(name for row in flat for name in row)
        write_atomically(csv, rows_to_csv([dict.fromkeys(columns) | row for row in flat]))
    if not write_result(json, rows):
        _show(rows)


def _flatten(row: dict[str, Any]) -> dict[str, Any]:
    """A row for a table: what the gate says in columns of its own."""
    gate = row.get("gate") or {}
    rest = {name: value for name, value in row.items() if name != "gate"}
    told = {f"gate_{name}": gate[name] for name in ("distance", "limit") if gate}
    reasons = {"reasons": "; ".join(gate["reasons"])} if gate else {}
    return rest | told | reasons


def _read_list(name: str) -> list[str]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise EdgeMelanomaError(
            f"--list {name} cannot be read; expected a UTF-8 text file with a picture a line."
        ) from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _show(rows: Sequence[dict[str, Any]]) -> None:
    table = Table(caption="Research only, not a medical device.")
    for column in ("file", "P(malignant)", "decision", "threshold"):
        table.add_column(column, overflow="fold")
    for row in rows:
        if "error" in row:
            cells = "", row["error"], ""
        else:
            shown = "" if row["threshold"] is None else f"{row['threshold']:.4f}"
            p = "" if row["p_malignant"] is None else f"{row['p_malignant']:.4f}"
            cells = p, _words_of(row), shown
        table.add_row(row["file"], *cells)
    print_table(results_console(width=140), table)


def _words_of(row: dict[str, Any]) -> str:
    """The decision, and behind it what is wrong with the photo, with what to do about it."""
    from edge_melanoma.data.faults import ADVICE

    reasons = (row["gate"] or {}).get("reasons", ())
    told = "; ".join(f"{reason}: {ADVICE[reason]}" for reason in reasons)
    return f"{WORDS[row['decision']]}: {told}" if told else WORDS[row["decision"]]
