"""Names are text: whatever a file, a class, a set or a model is called, it steers nothing."""

import csv
import html
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from bad_images import encode, pattern
from every_command import ALL
from made import predictions_of
from parity_reports import report_of
from PIL import Image

from edge_melanoma.benchmarks.report.page import render_junit, render_report
from edge_melanoma.benchmarks.report.text import render_markdown, terminal_tables
from edge_melanoma.data.phantoms import write_phantoms
from edge_melanoma.errors import printable
from edge_melanoma.evaluation.predictions import predictions_to_csv, read_predictions
from edge_melanoma.machine.files import FORMULAS, rows_to_csv
from edge_melanoma.machine.markdown import text_of
from edge_melanoma.machine.terminal import print_lines, print_table, results_console, shown
from edge_melanoma.runs.bundled import bundled_model

Run = Callable[..., Any]

NAMES = (
    *(
        "[red]a",
        "[x]",
        "[bold]b[bold]",
        "[link=x]y[link]",
        ":smile:",
        "a$b$",
        "-rf",
        "@a",
        "back\\slash\\n",
    ),
    *("=1+1", "+1", '=HYPERLINK("x")', "'quoted", "tab\tc", "<script>alert(1)<|script>", "a|b"),
    *("\x1b[31mred", "\x1b]0;title\x07", "\x9b31m", "\u202egnp.exe", "\u2066x", "back\x08space"),
    *(
        "**bold**",
        "`code`",
        "[a](javascript:b)",
        "&amp;",
        "Präparat_黒色腫",
        "line\nbreak",
        "{{7*7}}",
    ),
)
STEERING = {chr(c) for c in [*range(9), *range(11, 32), *range(127, 160)]} | set("\u202e\u2066")


def steers(text: str) -> bool:
    return not STEERING.isdisjoint(text)


def is_formula(cell: str) -> bool:
    is_number = cell.removeprefix("-").replace(".", "").replace("e-", "").isdigit()
    return cell.startswith(FORMULAS[:4]) and not is_number


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of a hostile name, of pictures with hostile names, and some unlike them."""
    folder = tmp_path_factory.mktemp("names") / "[red]set:smile:=1\x1b[31m"
    write_phantoms(folder, count=8, seed=1, size=96)
    pictures = sorted(path for path in folder.rglob("*") if path.is_file())
    for number, name in enumerate(NAMES):
        one = pictures[number % 8]
        shutil.copy(one, one.with_name(f"{name}{one.suffix}"))
    return folder


def commands(named: Path, out: Path) -> Iterator[tuple[str | Path, ...]]:
    picture = next(path for path in named.rglob("*") if path.is_file())
    model = out / "[red]m:smile:\x1b[31m.tflite"
    shutil.copy(bundled_model(), model)
    yield "data", "check", named, "--no-cache"
    yield "data", "check", named, "--no-cache", "--json"
    yield "data", "check", named, "--no-cache", "--html", out / "check.html"
    yield "data", "check", named, "--no-cache", "--fix-list", out / "fix.txt"
    yield "predict", model, named, "--recursive"
    yield "predict", model, named, "--recursive", "--json"
    yield "predict", model, named, "--recursive", "--csv", out / "p.csv"
    yield "inspect", model
    yield "inspect", out / "[none]\x1b[31m.tflite"
    yield "evaluate", model, "--data", named, "--out", out / "evaluated"
    yield "evaluate", model, "--data", named, "--json"
    yield "predict", model, out / "[/x]\x1b[0m.png"
    yield "verify", named
    yield "android", "bundled", "--verify", named
    yield "report", named
    yield "predict", picture, picture


@pytest.mark.thorough
def test_every_command_takes_names_as_text(named: Path, tmp_path: Path, edge_melanoma: Run) -> None:
    for command in commands(named, tmp_path):
        result = edge_melanoma(*command)
        assert result.exit_code in (0, 1, 2), (command, result.stderr)
        assert "Traceback" not in result.stderr
        assert not steers(result.stdout + result.stderr), command
        if "--json" in command:
            json.loads(result.stdout)
    kinds = {".html", ".csv", ".txt", ".md"}
    written = [path for path in tmp_path.rglob("*") if path.suffix in kinds]
    assert len(written) >= 5
    for path in written:
        assert not steers(path.read_text().replace("\t", "")), path
    for path in (path for path in written if path.suffix == ".csv"):
        cells = [cell for row in csv.reader(io.StringIO(path.read_text())) for cell in row]
        assert not list(filter(is_formula, cells)), path


PLACES = {"data", "run", "bundled", "new", "new.html", "counts.json", "network.h5"}
LONG = "x" * 300
"""More than a name may have on any system."""


def refuses_long(edge_melanoma: Run, words: list[str]) -> None:
    """Whichever place has a name that is too long: a sentence, before any work."""
    for number, word in enumerate(words):
        if word in PLACES:
            result = edge_melanoma(*words[:number], LONG, *words[number + 1 :])
            assert (result.exit_code, result.stdout) == (2, ""), (words, word, result.stderr)
            last = result.stderr.splitlines()[-1]
            assert last.startswith("edge-melanoma: "), words
            assert LONG in last, words


@pytest.mark.parametrize("command", ["inspect", "predict", "verify", "data check", "data phantoms"])
def test_a_name_that_is_too_long_is_told(command: str, edge_melanoma: Run) -> None:
    refuses_long(edge_melanoma, ALL[command].split())


@pytest.mark.thorough
@pytest.mark.parametrize("command", ALL)
def test_every_command_tells_of_a_name_that_is_too_long(
    command: str, ground: Path, tmp_path: Path, edge_melanoma: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shutil.copytree(ground, tmp_path / "ground"))
    refuses_long(edge_melanoma, ALL[command].split())


@pytest.mark.slow
def test_a_run_of_hostile_names_is_text_in_all_that_is_made_of_it(
    tmp_path: Path, edge_melanoma: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sets = [Path(f"[red]{name}:smile:=1$x_${STYLED}") for name in ("set", "other")]
    for seed, one in enumerate(sets):
        write_phantoms(one, count=70, seed=seed, size=96)
        pictures = sorted(path for path in one.rglob("*") if path.is_file())
        for path, name in zip(pictures[::2], (*NAMES, "stray \udcff"), strict=False):
            path.rename(path.with_name(f"{name}{path.suffix}"))
    out = Path("out")
    for command in _commands_of_a_run(sets[0], sets[1], out):
        result = edge_melanoma(*command)
        assert result.exit_code in (0, 1), (command, result.stderr)
        assert not steers(result.stdout + result.stderr), command
    written = [path for path in tmp_path.rglob("*") if path.suffix in TEXTS and path.is_file()]
    assert {path.suffix for path in written} >= {".html", ".md", ".csv", ".json", ".xml"}
    for path in written:
        refuse_markup(path)


STYLED = "\x1b[31m"
TEXTS = {".html", ".md", ".csv", ".json", ".xml", ".svg", ".txt", ".toml", ".kt", ".js"}


def _commands_of_a_run(named: Path, other: Path, out: Path) -> Iterator[tuple[Any, ...]]:
    """All that show or write names, on a run, a model and pictures that have hostile ones."""
    run = out / f"[red]run:smile:$x_${STYLED}"
    exported, clinic = run / "exports" / "model_int8.tflite", other
    model = out / f"[red]m:smile:{STYLED}.tflite"
    picture = next(path for path in named.rglob("=1+1*"))
    yield "data", "check", named, other, "--html", out / "d.html", "--json", out / "d.json"
    recipe = ("--variant", "frozen", "--weights", "none", "--epochs", 1)
    yield "train", "--data", named, "--external", f"beside={other}", *recipe, "--out", run
    yield "export", run, "--quantize", "int8"
    yield "bench", run, "--runs", 2, "--html", out / "b.html", "--junit", out / "b.xml"
    yield "report", run, "--out", out / "r.html"
    yield "card", run
    yield "calibrate", run, "--out", out / "calibrated"
    yield "threshold", run, "--min-recall", 0.9
    yield "evaluate", run, "--data", other, "--out", out / "evaluated", "--json", out / "e.json"
    shutil.copy(exported, model)
    yield "evaluate", model, "--data", other, "--json"
    yield "commission", run, "--data", clinic, "--out", out / "own", "--json", out / "c.json"
    yield "android", run, "--out", out / "android"
    yield "android", run, "--verify", out / "android"
    yield "web", run, "--out", out / "web"
    yield "predict", run, picture, other, "--recursive", "--csv", out / "p.csv"
    yield "verify", run
    keras = out / f"[red]k:smile:{STYLED}.h5"
    _save_keras(run, keras)
    yield "import", keras, "--data", named, "--out", out / "imported", "--input-range", "0..1"


def refuse_markup(path: Path) -> None:
    """Whatever a name says, the file has neither its control codes nor its tags and formulas."""
    text = path.read_text(encoding="utf-8")
    assert not steers(text.replace("\t", "")), path
    if path.suffix in {".html", ".md", ".svg", ".xml"}:
        assert "<script>alert(1)" not in text, path
    if path.suffix == ".csv":
        cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
        assert not list(filter(is_formula, cells)), path


def _save_keras(run: Path, path: Path) -> None:
    from edge_melanoma.network.network import load_network
    from edge_melanoma.runs.models import open_run

    load_network(open_run(run)).save(path)


def test_what_a_notebook_shows_of_names_is_text() -> None:
    from edge_melanoma.api import results

    class Named(results.Shown):
        def to_dict(self) -> list[dict[str, Any]]:
            return [{name: name, "score": 0.5} for name in NAMES]

    shown_there = Named()._repr_html_()
    assert not steers(shown_there)
    assert "<script" not in shown_there
    assert "&lt;script&gt;" in shown_there


def test_the_terminal_shows_names_whole(capfd: pytest.CaptureFixture[str]) -> None:
    from rich.table import Table

    table = Table("name", title="[red]title")
    for name in NAMES:
        table.add_row(name)
    console = results_console(width=160)
    print_table(console, table)
    print_lines(console, *NAMES)
    output = capfd.readouterr().out
    assert not steers(output)
    for name in ("[red]title", *NAMES):
        assert shown(name).split("\n")[0] in output


@pytest.mark.parametrize("name", NAMES)
def test_markdown_html_and_junit_hold_text(name: str) -> None:
    before = predictions_of(malignant=(0.9, 0.8, 0.4), benign=(0.1, 0.6, 0.2))
    after = predictions_of(malignant=(0.4, 0.8, 0.6), benign=(0.1, 0.6, 0.2))
    parity = report_of(before, after, name=name).as_dict()
    for table in terminal_tables(parity):
        print_table(results_console(width=180), table)
    assert not steers(render_markdown(parity))
    page = render_report(parity, {"keras": before, "int8": after}, {})
    assert not steers(page)
    tags: set[str] = set()
    reader = HTMLParser()
    reader.handle_starttag = lambda tag, attrs: tags.add(tag)  # type: ignore[method-assign]
    reader.feed(page)
    assert "script" not in tags
    case = ElementTree.fromstring(render_junit(parity))
    told = {one.get("name"): one.get("value") for one in case.iter("property")}
    assert not steers(told["dataset"] or "")


@pytest.mark.parametrize("name", NAMES)
def test_markdown_text_is_one_line_without_marks(name: str) -> None:
    told = text_of(name)
    assert "\n" not in told
    assert not steers(told)
    assert "<" not in html.unescape(told) or "&lt;" in told


def test_tables_of_scores_hold_no_formula_and_read_back_equal(tmp_path: Path) -> None:
    from dataclasses import replace

    scores = predictions_of(malignant=(0.5,) * len(NAMES), benign=())
    scores = replace(scores, image_ids=NAMES)
    path = tmp_path / "p.csv"
    path.write_text(predictions_to_csv(scores), newline="")
    assert read_predictions(path).image_ids == NAMES
    cells = [row[0] for row in csv.reader(io.StringIO(path.read_text()))]
    assert not list(filter(is_formula, cells))
    assert "'=1+1" in rows_to_csv([{"file": "=1+1", "drop": -0.5}])
    assert ",-0.5" in rows_to_csv([{"file": "=1+1", "drop": -0.5}])


@pytest.mark.parametrize("setting", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}])
@pytest.mark.parametrize("words", ["predict bundled SET --recursive", "data check SET --no-cache"])
def test_names_that_no_encoding_has_are_survived(
    words: str, setting: dict[str, str], tmp_path: Path
) -> None:
    write_phantoms(tmp_path, count=4, seed=1, size=64)
    data = encode(Image.fromarray(pattern()), "PNG")
    for name in (b"stray \xff.png", "Präparat.png".encode(), "黒.png".encode()):
        Path(os.fsdecode(bytes(tmp_path) + b"/benign/" + name)).write_bytes(data)
    command = [sys.executable, "-m", "edge_melanoma", *words.replace("SET", str(tmp_path)).split()]
    done = subprocess.run(command, capture_output=True, env=os.environ | setting, timeout=120)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert printable("\udcff") == "\\udcff"
