"""The command line: its options, and the one place where a mistake becomes a sentence.

Commands import what they need when they run: `edge-melanoma --help` starts without TensorFlow and
without scikit-learn.
"""

import errno
import multiprocessing
import os
import signal
import sys
from importlib import import_module
from types import FrameType
from typing import Annotated

import typer

from edge_melanoma import __version__
from edge_melanoma.commands import bench, data, threshold
from edge_melanoma.commands.options import Command
from edge_melanoma.errors import EdgeMelanomaError

USER_ERROR, INTERRUPTED = 2, 130
TOLD_INTERRUPTED = "edge-melanoma: interrupted; what was finished is kept."
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})

app = typer.Typer(
    help="Train melanoma classifiers, export them as int8 TFLite, and prove that the file in the "
    "phone is as good as the network. For research; not a medical device.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for name in (
    *("train", "evaluate", "export", "predict", "threshold", "card"),
    *("android", "inspect", "verify", "web", "demo", "doctor"),
):
    app.command(name, cls=Command)(import_module(f"edge_melanoma.commands.{name}").command)
app.command("import", cls=Command)(import_module("edge_melanoma.commands.import_").command)
app.command("bench", cls=Command)(bench.command)
app.command("report")(bench.report)
app.command("calibrate")(threshold.calibrate)
app.add_typer(data.app, name="data")
app.add_typer(data.cache_app, name="cache")


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
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        app()
    except EdgeMelanomaError as error:
        print(f"edge-melanoma: {error}", file=sys.stderr)
        sys.exit(USER_ERROR)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        place = f"{error.filename} cannot be written" if error.filename else "Writing failed"
        reason = os.strerror(error.errno)
        print(
            f"edge-melanoma: {place}: {reason}; free the disk or choose another folder.",
            file=sys.stderr,
        )
        sys.exit(USER_ERROR)
    except SystemExit as stop:
        # Typer makes this of a KeyboardInterrupt, without a word.
        if stop.code == INTERRUPTED:
            print(TOLD_INTERRUPTED, file=sys.stderr)
        raise
    except Exception:
        # Native code that a KeyboardInterrupt comes out of makes a SystemError or another of it.
        if not _orders:
            raise
        print(TOLD_INTERRUPTED, file=sys.stderr)
        sys.exit(INTERRUPTED)


_orders: list[int] = []
"""The signals by which this process was told to end."""


def _interrupt(number: int, frame: FrameType | None) -> None:
    """An order to end is obeyed as Ctrl-C is; nobody waits for what the children were doing."""
    _orders.append(number)
    for child in multiprocessing.active_children():
        child.kill()
    raise KeyboardInterrupt
