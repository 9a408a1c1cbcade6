"""Every command's help can be used as it stands; options may come from a file."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from conftest import CommandResult
from made import draw_pictures

from edge_melanoma.cli import COMMANDS, app
from edge_melanoma.commands.train import find_callback
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.command_line import (
    Command,
    Configurable,
    config_text,
    read_config,
    stated_options,
)
from edge_melanoma.runs.options import keep_options

Cli = Callable[..., CommandResult]
ROOT: Any = typer.main.get_command(app)


def all_commands(group: Any = ROOT, name: str = "") -> Iterator[tuple[str, Command]]:
    for word, command in group.commands.items():
        if isinstance(command, Command):
            yield f"{name}{word}", command
        else:
            yield from all_commands(command, f"{name}{word} ")


EACH = dict(all_commands())


def parse(line: str) -> Any:
    """The context of a line as a shell would give it to the command."""
    words, found = shlex.split(line)[1:], ROOT
    while not isinstance(found, Command):
        found = found.commands[words.pop(0)]
    parent = typer.Context(ROOT, info_name="edge-melanoma")
    return found.make_context(found.name, words, parent=parent)


def read(text: str, folder: Path, command: str = "train") -> dict[str, Any]:
    path = folder / "options.toml"
    path.write_text(text)
    found = EACH[command]
    assert isinstance(found, Configurable)
    return read_config(path, found, frozenset({"train", "export", "bench"}))


@pytest.mark.parametrize("name", EACH)
def test_a_command_has_two_examples_that_are_understood_and_fit(name: str) -> None:
    examples = EACH[name].examples
    assert len(examples) == 2
    for example in examples:
        assert example.startswith(f"edge-melanoma {name}")
        assert len(example) <= 77
        if "--config" not in example:
            parse(example)


@pytest.mark.parametrize("name", EACH)
def test_help_shows_no_types_but_letters(
    name: str, edge_melanoma: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    told = edge_melanoma(*name.split(), "--help").stdout
    assert re.findall(r"<\w+", told) == []
    assert "--quiet" in told
    assert all(f"   {example}\n" in told for example in EACH[name].examples)


def test_commands_stand_in_their_panels(edge_melanoma: Cli) -> None:
    told = edge_melanoma("--help").stdout
    titles = re.findall(r"^╭─ (\w+)", told, re.MULTILINE)
    assert titles == ["Options", *COMMANDS]
    assert "<bool>" not in told


@pytest.mark.parametrize("name", EACH)
def test_a_run_may_be_left_out(name: str) -> None:
    for parameter in EACH[name].params:
        if parameter.metavar in ("RUN", "RUN_OR_MODEL") and parameter.name in ("run", "model"):
            assert not parameter.required
            assert "newest" in str(getattr(parameter, "show_default", ""))


def test_a_wrong_option_is_a_sentence_like_every_other_mistake(edge_melanoma: Cli) -> None:
    found = edge_melanoma("bench", "--run", "3")
    assert (found.exit_code, found.stdout) == (2, "")
    assert re.fullmatch(
        r"edge-melanoma: No such option: --run .*--runs.*; see: edge-melanoma bench --help\n",
        found.stderr,
    )


def test_options_of_a_file_stand_at_its_top_or_in_a_table(tmp_path: Path) -> None:
    wanted = {"batch_size": 8, "data": ["a", "b"], "cache": False, "min_recall": 0.9}
    text = 'batch-size = 8\ndata = ["a", "b"]\ncache = false\nmin-recall = 0.9\n'
    assert read(text, tmp_path) == wanted
    assert read(f"[train]\n{text}[bench]\nruns = 9\n", tmp_path) == wanted
    assert read("threads = [1, 2]\n[train]\nseed = 1", tmp_path, "bench") == {"threads": ["1", "2"]}
    assert read('threads = "all"', tmp_path, "bench") == {"threads": ["all"]}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "epoch = 3",
            "has the unknown key 'epoch'; expected options of train by their long names, without "
            "dashes before them: did you mean 'epochs'?",
        ),
        ("[eval]\nrun = 1", "has the unknown key 'eval'; expected options of train"),
        (
            'epochs = "3"',
            "cannot be used: at epochs, expected int, got str; change it in the ",
        ),
        ("seed = ", "is not a readable TOML file: "),
    ],
)
def test_what_no_option_is_is_named_with_its_file(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        read(text, tmp_path)
    assert str(caught.value).startswith(f"The config {tmp_path / 'options.toml'} {sentence}")


def test_an_unknown_key_ends_a_command_with_2(edge_melanoma: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("epoch = 3\n")
    found = edge_melanoma("train", "--config", tmp_path / "a.toml")
    assert (found.exit_code, found.stdout) == (2, "")
    assert f"The config {tmp_path / 'a.toml'} has the unknown key 'epoch'" in found.stderr


def test_the_command_line_wins_and_what_holds_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('data = "photos"\nseed = 4\nepochs = 2\nvariant = "frozen"\n')
    context = parse(f"edge-melanoma train --config {path} --seed 7 --out other")
    stated = stated_options(context)
    assert (stated["seed"], stated["epochs"], stated["variant"]) == (7, 2, "frozen")
    assert "out" not in stated
    text = config_text("train", stated)
    again = stated_options(parse_text(text, tmp_path))
    assert config_text("train", again) == text


def test_a_run_tells_no_place_of_this_machine_and_is_repeated_from_it(tmp_path: Path) -> None:
    data = tmp_path / "photos"
    keep_options(tmp_path, "train", {"data": [data], "external": [f"ph2={data}"], "seed": 3})
    path = tmp_path / "config.toml"
    assert str(tmp_path) not in path.read_text()
    found = stated_options(parse(f"edge-melanoma train --config {path}"))
    assert (found["data"], found["external"]) == ([data], [f"ph2={data}"])


def parse_text(text: str, folder: Path) -> Any:
    (folder / "again.toml").write_text(text)
    return parse(f"edge-melanoma train --config {folder / 'again.toml'}")


@pytest.mark.parametrize("name", ['a "b"\\\n', "\x7f", "naïve 図", "\udc80"])
def test_any_name_can_be_written(name: str) -> None:
    read = tomllib.loads(config_text("train", {"data": [name], "max": float("inf")}))
    shown = name.encode("utf-8", "backslashreplace").decode()
    assert read == {"train": {"data": [shown], "max": float("inf")}}


def test_quiet_leaves_the_results_alone_and_verbose_tells_more(
    edge_melanoma: Cli, tmp_path: Path
) -> None:
    draw_pictures(tmp_path / "photos", *range(6))
    check = ("data", "check", tmp_path / "photos", "--no-cache", "--fix-list", tmp_path / "fix.txt")
    quiet, verbose = edge_melanoma(*check, "-q"), edge_melanoma(*check, "--verbose")
    assert quiet.stderr == ""
    assert quiet.stdout == verbose.stdout != ""
    wrote = rf"^\[\d+\.\d s\] Wrote {tmp_path}/fix.txt, \d+ bytes$"
    assert re.search(wrote, verbose.stderr, re.MULTILINE)
    assert "Traceback" in edge_melanoma("evaluate", tmp_path / "none", "-v").stderr
    assert "Traceback" not in edge_melanoma("evaluate", tmp_path / "none").stderr


def complete(words: str, folder: Path) -> list[str]:
    """What a shell offers for the last word of a line."""
    line = f"edge-melanoma {words}"
    asked = {
        "_EDGE_MELANOMA_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }
    command = [Path(sys.executable).with_name("edge-melanoma")]
    told = subprocess.run(
        command, cwd=folder, env=os.environ | asked, capture_output=True, text=True, check=True
    )
    return told.stdout.split()


def test_a_shell_completes_variants_modes_and_runs(tmp_path: Path) -> None:
    for name in ("frozen-1", "best-1"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "manifest.json").touch()
    assert complete("train --variant fr", tmp_path) == ["frozen"]
    assert complete("export --quantize int8", tmp_path) == ["int8", "int8-qat"]
    assert complete("bench ", tmp_path) == ["runs/best-1", "runs/frozen-1", "bundled"]


CALLBACKS = """
class Lines:
    def set_model(self, model): pass
class Needy(Lines):
    def __init__(self, place): pass
made = Lines()
def build(): return made
other = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = "callbacks_of_a_stranger"
    (tmp_path / f"{name}.py").write_text(CALLBACKS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


def test_a_callback_is_a_class_a_function_or_an_object(module: str) -> None:
    pytest.importorskip("tensorflow")
    made = find_callback(f"{module}:made")
    assert find_callback(f"{module}:build") is made
    assert type(find_callback(f"{module}:Lines")) is type(made)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "names no object; expected MODULE:NAME, as in log:Lines."),
        (":Needy", "cannot be used (TypeError: "),
        (":missing", "cannot be used (AttributeError: "),
        (":other", "is int, which is no Keras callback"),
    ],
)
def test_what_is_no_callback_is_refused_before_any_work(
    name: str, reason: str, module: str
) -> None:
    pytest.importorskip("tensorflow")
    with pytest.raises(EdgeMelanomaError, match=f"^--callback {module}{name} {re.escape(reason)}"):
        find_callback(module + name)
