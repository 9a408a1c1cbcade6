"""The command line: its options, and the one place where a mistake becomes a sentence.

Commands import what they need when they run: `edge-melanoma --help` starts without TensorFlow and
without scikit-learn.
"""

import sys
from typing import Annotated

import typer

from edge_melanoma import __version__
from edge_melanoma.commands import (
    android,
    bench,
    calibrate,
    card,
    data,
    demo,
    doctor,
    evaluate,
    export,
    predict,
    report,
    threshold,
)
from edge_melanoma.commands import train as train_command
from edge_melanoma.errors import EdgeMelanomaError

USER_ERROR, INTERRUPTED = 2, 130

app = typer.Typer(
    help="Train melanoma classifiers, export them as int8 TFLite, and prove that the file in the "
    "phone is as good as the network. For research; not a medical device.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for module in (
    train_command,
    evaluate,
    export,
    report,
    predict,
    threshold,
    calibrate,
    card,
    android,
    demo,
    doctor,
):
    app.command(module.NAME)(module.command)
app.command(bench.NAME, cls=bench.BenchCommand)(bench.command)
app.add_typer(data.app, name="data")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"edge-melanoma {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Say the version."),
    ] = False,
) -> None:
    pass


def run() -> None:
    """Run the command line; what the user can mend becomes one sentence and exit code 2."""
    try:
        app()
    except EdgeMelanomaError as error:
        print(f"edge-melanoma: {error}", file=sys.stderr)
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        print("edge-melanoma: interrupted; what was finished is kept.", file=sys.stderr)
        sys.exit(INTERRUPTED)
