"""What every command has: help that can be pasted, --quiet and --verbose; and options in a file.

`Command` takes its examples out of the function's docstring. `Configurable` has --config FILE too,
and tells what it was run with as TOML that it reads again.
"""

import difflib
import json
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, TypedDict, get_args, get_origin, get_type_hints

import typer
from typer import Option
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from edge_melanoma.errors import EdgeMelanomaError, Interrupted
from edge_melanoma.machine import terminal
from edge_melanoma.machine.schemas import hold_against, read_toml

CONFIG = "config.toml"
"""In a folder of results: the options that these were made with."""
OUTPUT, ADVANCED = "Output", "Advanced"
"""Panels of the help."""
EXAMPLES = "\n\nExamples:\n"
PLACES = frozenset({"config", "out", "force", "resume", "json", "html", "junit", "write-contract"})
"""Options that tell where to and not what: a repetition has its own."""
LETTERS = {bool: "", int: "N", float: "X", Path: "PATH", str: "TEXT"}
"""What stands for a value in the help where an option names nothing better."""


class Group(TyperGroup):
    """Commands below a name; its help shows no type of what takes no value."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its own options, --help among them."""
        return list(map(_without_letters, super().get_params(ctx)))


class Command(TyperCommand):
    """A command with examples below its options, and with --quiet and --verbose."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        about, _, examples = (self.help or "").partition(EXAMPLES)
        self.help = "\n\n".join(part.replace("\n", " ") for part in about.split("\n\n"))
        self.examples = [line.strip() for line in examples.splitlines() if line.strip()]
        hints = get_type_hints(self.callback) if self.callback else {}
        self.kinds = {name: _without_none(hint) for name, hint in hints.items()}
        for parameter in self.params:
            if parameter.metavar is None and parameter.param_type_name == "option":
                parameter.metavar = _letters(self.kinds[str(parameter.name)])
        self.params += _parameters_of(_common)

    def get_params(self, ctx: Any) -> list[Any]:
        """Its options, --help among them."""
        return list(map(_without_letters, super().get_params(ctx)))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The options, and below them the examples, whose lines nothing breaks."""
        super().format_help(ctx, formatter)
        if self.examples:
            typer.echo("\n".join([" Examples:", *(f"   {one}" for one in self.examples)]))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Begin with what a person sees without --quiet and --verbose."""
        terminal.set_verbosity(terminal.Verbosity.NORMAL)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run it; an order to end keeps the sentence that the work gave it.

        Raises:
            Interrupted: in place of a KeyboardInterrupt, of which typer would tell nothing.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise Interrupted(*stop.args) from stop


class Configurable(Command):
    """A command whose options may stand in a TOML file; those on the command line win."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params += _parameters_of(_config)

    def recall(self, word: str, path: Path) -> str:
        """What a word of the file `path` stood for, where it was written here."""
        return word

    def options(self) -> dict[str, str]:
        """The parameters that a file may state, by the long names of their options."""
        named = {}
        for parameter in self.params:
            if parameter.param_type_name == "option" and parameter.name in self.kinds:
                named[max(parameter.opts, key=len).removeprefix("--")] = str(parameter.name)
        return named


def read_config(path: Path, command: Configurable, others: frozenset[str]) -> dict[str, Any]:
    """Values by parameter, out of a file that has the options at its top.

    Or in a table with the command's name; tables of `others` are for those.

    Raises:
        EdgeMelanomaError: no such file, no TOML, an option that is unknown or of another kind.
    """
    what = f"The config {path}"
    content = read_toml(path, what="The config")
    own = content.pop(str(command.name), {})
    rest = {key: one for key, one in content.items() if not (key in others and _is_table(one))}
    stated = rest | own if _is_table(own) else rest | {str(command.name): own}
    known = command.options()
    for key in stated:
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
            raise EdgeMelanomaError(
                f"{what} has the unknown key '{key}'; expected options of {command.name} by their "
                f"long names, without dashes before them: did you mean '{nearest}'?"
            )
    kinds = {key: _kind_in_file(command.kinds[name]) for key, name in known.items()}
    hold_against(stated, TypedDict("Options", kinds, total=False), name=what)  # type: ignore[operator]
    recall = partial(command.recall, path=path)
    return {
        known[key]: _as_typed(one, command.kinds[known[key]], recall) for key, one in stated.items()
    }


def stated_options(context: typer.Context) -> dict[str, Any]:
    """What a command runs with, defaults included, by the long names of its options.

    Without those that tell where results go.
    """
    command = context.command
    assert isinstance(command, Configurable)
    found = {key: context.params.get(name) for key, name in command.options().items()}
    return {key: value for key, value in found.items() if key not in PLACES}


def config_text(command: str, options: Mapping[str, Any]) -> str:
    """The same as TOML, which --config reads; without what was left out and has no default."""
    head = f"# Options of: edge-melanoma {command}; repeat it with --config and this file."
    given = {key: value for key, value in options.items() if value not in (None, (), [])}
    lines = (f"{key} = {_toml(value)}" for key, value in given.items())
    return "\n".join([head, f"[{command}]", *lines, ""])


def _set_verbosity(value: terminal.Verbosity) -> Callable[[bool], None]:
    def choose(wanted: bool) -> None:
        if wanted:
            terminal.set_verbosity(value)

    return choose


def _common(
    quiet: Annotated[
        bool,
        Option(
            "--quiet",
            "-q",
            callback=_set_verbosity(terminal.Verbosity.QUIET),
            expose_value=False,
            rich_help_panel=OUTPUT,
            help="Print only the results, no progress.",
        ),
    ] = False,
    verbose: Annotated[
        bool,
        Option(
            "--verbose",
            "-v",
            callback=_set_verbosity(terminal.Verbosity.VERBOSE),
            expose_value=False,
            rich_help_panel=OUTPUT,
            help="Print times, the files written and TensorFlow's log, and the traceback of an "
            "error.",
        ),
    ] = False,
) -> None:
    """The options of every command."""


def _read_config(context: typer.Context, path: Path | None) -> None:
    command = context.command
    if path is None or context.resilient_parsing or not isinstance(command, Configurable):
        return
    group: Any = context.parent.command if context.parent else None
    others = {name for name, one in group.commands.items() if isinstance(one, Configurable)}
    context.default_map = read_config(path, command, frozenset(others))


def _config(
    config: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            callback=_read_config,
            is_eager=True,
            expose_value=False,
            help=f"Options as TOML, such as the {CONFIG} of a run; those on the command line win.",
        ),
    ] = None,
) -> None:
    """The option of a command whose options may stand in a file."""


def _parameters_of(function: Callable[..., None]) -> list[Any]:
    """What typer makes of a function's options."""
    shared = typer.Typer(add_completion=False)
    shared.command()(function)
    return list(get_command(shared).params)


def _without_letters(parameter: Any) -> Any:
    """Typer says of a switch that it takes a value, and of an argument what its type is."""
    if parameter.param_type_name == "option" and parameter.metavar is None:
        parameter.metavar = ""
    if parameter.param_type_name == "argument":
        parameter.display_type_rich = lambda ctx: ""
    return parameter


def _without_none(hint: Any) -> Any:
    """`int` of `int | None`."""
    if get_origin(hint) is list:
        return hint
    kinds = [kind for kind in get_args(hint) if kind is not NoneType]
    return kinds[0] if kinds else hint


def _letters(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(one.value for one in kind)
    return LETTERS.get(kind, "TEXT")


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _kind_in_file(kind: Any) -> Any:
    """What TOML may say for a parameter: numbers stand for their text, one value for a list."""
    if kind in (bool, int, float):
        return kind
    word = str | int | float
    return word | list[word] if get_origin(kind) is list else word


def _as_typed(value: Any, kind: Any, recall: Callable[[str], str]) -> Any:
    """As the words of a command line would say it."""
    if get_origin(kind) is list:
        return [recall(str(one)) for one in (value if isinstance(value, list) else [value])]
    return value if kind in (bool, int, float) else recall(str(value))


def _toml(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    text = value.value if isinstance(value, Enum) else str(value)
    # A name that is no Unicode cannot stand in TOML: it is shown, and not found again.
    text = text.encode("utf-8", "backslashreplace").decode()
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
