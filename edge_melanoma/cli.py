"""The command line: its options, and the one place where a mistake becomes a sentence.

Commands import what they need when they run: `edge-melanoma --help` starts without TensorFlow and
without scikit-learn.
"""

import errno
import io
import logging
import multiprocessing
import os
import signal
import sys
import traceback
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

from edge_melanoma import __version__
from edge_melanoma.commands import (
    android,
    bench,
    card,
    commission,
    data,
    demo,
    doctor,
    evaluate,
    export,
    import_,
    inspect,
    predict,
    threshold,
    train,
    web,
)
from edge_melanoma.commands.options import Command, Configurable
from edge_melanoma.errors import EdgeMelanomaError, Interrupted
from edge_melanoma.machine.command_line import Group
from edge_melanoma.machine.processes import refuse_other_systems
from edge_melanoma.machine.terminal import is_verbose, shown

USER_ERROR, INTERRUPTED, READER_GONE = 2, 130, 141
"""The last is that of a program that the signal SIGPIPE ends: nobody reads what it prints."""
TOLD_INTERRUPTED = "edge-melanoma: interrupted; what was finished is kept."
NO_MEMORY = (
    "edge-melanoma: There is not enough memory; free some, or raise the limit of this shell "
    "(ulimit)."
)
UNMAPPED = "failed to map segment"
"""What the system's loader says of a library that memory lacks for."""
UsageError: Any = typer.BadParameter.__base__
"""What typer raises of options that cannot be; it has no name of its own for it."""
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
NO_ENTRY = frozenset({errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR})
"""What a place is refused with before anybody looks whether something is there."""

COMMANDS: dict[str, dict[str, Any]] = {
    "Train": {
        "train": train.command,
        "import": import_.command,
        "threshold": threshold.command,
        "calibrate": threshold.calibrate,
        "commission": commission.command,
    },
    "Ship": {
        "export": export.command,
        "inspect": inspect.command,
        "android": android.command,
        "web": web.command,
    },
    "Measure": {
        "bench": bench.command,
        "report": bench.report,
        "evaluate": evaluate.command,
        "predict": predict.command,
        "card": card.command,
        "drift": commission.drift,
    },
    "Data": {"data": data.app, "cache": data.cache_app},
    "Tools": {"demo": demo.command, "verify": inspect.verify, "doctor": doctor.command},
}
"""By the panel of the help, in the order in which they are shown."""
WITH_CONFIG = frozenset({"train", "export", "bench"})


class _InOrder(Group):
    """Typer shows groups of commands below all commands."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for panel in COMMANDS.values() for name in panel]


app = typer.Typer(
    cls=_InOrder,
    help="Train melanoma classifiers, export them as int8 TFLite, and prove that the file in the "
    "phone is as good as the network. For research; not a medical device.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for panel, commands in COMMANDS.items():
    for name, command in commands.items():
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, rich_help_panel=panel)
        else:
            kind = Configurable if name in WITH_CONFIG else Command
            app.command(name, cls=kind, rich_help_panel=panel)(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"edge-melanoma {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


def run() -> None:
    """Run the command line; what the user can mend becomes one sentence and exit code 2."""
    _open_closed_streams()
    # It warns of a home that cannot be written, which spoils no figure.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a notebook has others
            stream.reconfigure(errors="backslashreplace")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        try:
            os.getcwd()
            refuse_other_systems()
            code = app(prog_name="edge-melanoma", standalone_mode=False)
        finally:
            sys.stdout.flush()
        if code == INTERRUPTED:
            _end(TOLD_INTERRUPTED, INTERRUPTED)
        sys.exit(code if isinstance(code, int) else 0)
    except EdgeMelanomaError as error:
        if is_verbose():
            traceback.print_exc()
        _end(f"edge-melanoma: {shown(str(error))}", USER_ERROR)
    except Interrupted as stop:
        told = f"edge-melanoma: {shown(str(stop))}" if str(stop) else TOLD_INTERRUPTED
        _end(told, INTERRUPTED)
    except UsageError as error:
        _end(_describe_usage(error), USER_ERROR)
    except OSError as error:
        _end_by_system(error)
    except SystemExit as stop:
        # Typer and rich make 1 of a pipe whose other end is closed, which is that of a contract.
        if isinstance(stop.__context__, BrokenPipeError):
            _end("", READER_GONE)
        raise
    except MemoryError:
        _end(NO_MEMORY, USER_ERROR)
    except Exception as error:
        if isinstance(error, ImportError) and UNMAPPED in str(error):
            _end(NO_MEMORY, USER_ERROR)
        # Native code that a KeyboardInterrupt comes out of makes a SystemError or another of it.
        if not _orders:
            raise
        _end(TOLD_INTERRUPTED, INTERRUPTED)


def _describe_usage(error: UsageError) -> str:
    """A sentence as every other mistake has one; nothing where the help was shown instead."""
    message = " ".join(error.format_message().split()).rstrip(".")
    if not message or error.ctx is None:
        return message
    return f"edge-melanoma: {shown(message)}; see: {error.ctx.command_path} --help"


def _open_closed_streams() -> None:
    """Where one of the three is closed, the next file that is opened would take its place.

    What is printed to a closed stdout has no reader, as in a pipe that was closed early.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            place = os.open(os.devnull, os.O_RDWR)
            if name == "stdout":
                reader, place = os.pipe()
                os.close(reader)
            if place != number:
                os.dup2(place, number)
                os.close(place)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))


def _end_by_system(error: OSError) -> NoReturn:
    """Where the system refuses what is nobody's mistake in here."""
    if isinstance(error, BrokenPipeError):
        _end("", READER_GONE)
    if not _has_folder():
        _end("edge-melanoma: The working folder is not there any more; go to another.", USER_ERROR)
    if error.errno == errno.ENOMEM or UNMAPPED in str(error):
        _end(NO_MEMORY, USER_ERROR)
    if error.errno in NO_ENTRY and error.filename:
        told = f"{error.filename} cannot be used: {os.strerror(error.errno)}; choose another place."
        _end(f"edge-melanoma: {shown(told)}", USER_ERROR)
    if error.errno not in NO_ROOM:
        raise error
    place = f"{error.filename} cannot be written" if error.filename else "Writing failed"
    reason = os.strerror(error.errno)
    told = f"edge-melanoma: {place}: {reason}; free the disk or choose another folder."
    _end(told, USER_ERROR)


def _has_folder() -> bool:
    try:
        return bool(os.getcwd())
    except FileNotFoundError:
        return False


def _end(sentence: str, code: int) -> NoReturn:
    """With the sentence, where there is a reader; nothing is left to be written at the end."""
    for stream, text in ((sys.stdout, ""), (sys.stderr, sentence and f"{sentence}\n")):
        try:
            stream.write(text)
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


_orders: list[int] = []
"""The signals by which this process was told to end."""


def _interrupt(number: int, frame: FrameType | None) -> None:
    """An order to end is obeyed as Ctrl-C is; nobody waits for what the children were doing."""
    _orders.append(number)
    for child in multiprocessing.active_children():
        child.kill()
    raise KeyboardInterrupt
