"""Options that need no file, the latency options of `bench`, and what cannot be meant by them."""

import json
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import CommandResult
from made import draw_pictures

from edge_melanoma.benchmarks.settings import TimingSettings
from edge_melanoma.commands.options import choose_timing, complete_options, parse_threads
from edge_melanoma.errors import EdgeMelanomaError

GIVEN: dict[str, Any] = {
    "runs": 100,
    "warmup": 10,
    "threads": (),
    "seconds": (0.0, 30.0),
    "mlperf": False,
}


def test_without_options_it_is_100_runs_on_one_thread() -> None:
    assert choose_timing(**GIVEN) == TimingSettings(
        runs=100, warmup=10, threads=(1,), min_seconds=0.0, max_seconds=30.0
    )


@pytest.mark.parametrize(
    ("words", "counts"),
    [
        (["2"], (2,)),
        (["1,2"], (1, 2)),
        (["2", "1", "2"], (2, 1)),
        (["1, 2", "4"], (1, 2, 4)),
        (["all"], (os.cpu_count(),)),
    ],
)
def test_threads_are_numbers_or_all_each_once(words: list[str], counts: tuple[int, ...]) -> None:
    assert parse_threads(words) == counts


@pytest.mark.parametrize("word", ["0", "-1", "two", "", "1.5", "²"])
def test_other_threads_are_refused(word: str) -> None:
    message = (
        f"--threads got '{word}'; expected whole numbers from 1 on, or all, as in "
        f"--threads 1,2,all."
    )
    with pytest.raises(EdgeMelanomaError, match=f"^{re.escape(message)}$"):
        parse_threads([word])


def test_mlperf_asks_for_1024_queries_and_60_seconds_however_long_they_take() -> None:
    timing = choose_timing(**{**GIVEN, "mlperf": True})
    assert (timing.runs, timing.min_seconds, timing.max_seconds) == (1024, 60.0, math.inf)
    assert timing.is_mlperf_like
    more = choose_timing(**{**GIVEN, "mlperf": True, "runs": 5000, "seconds": (90.0, 30.0)})
    assert (more.runs, more.min_seconds) == (5000, 90.0)


def test_a_least_time_above_the_most_is_refused() -> None:
    message = "--min-seconds 40 is more than --max-seconds 30; raise the latter."
    with pytest.raises(EdgeMelanomaError, match=f"^{re.escape(message)}$"):
        choose_timing(**{**GIVEN, "seconds": (40.0, 30.0)})


@pytest.mark.parametrize(
    ("given", "completed"),
    [
        (["--write-contract"], ["--write-contract=parity.toml"]),
        (["--write-contract", "--runs", "3"], ["--write-contract=parity.toml", "--runs", "3"]),
        (["--write-contract", "."], ["--write-contract=parity.toml", "."]),
        (["--write-contract", "a.toml"], ["--write-contract", "a.toml"]),
        (["--runs", "3"], ["--runs", "3"]),
        (["bundled", "a.jpg", "--json"], ["bundled", "a.jpg", "--json=-"]),
        (["bundled", "--json", "a.JPG", "b.png"], ["bundled", "--json=-", "a.JPG", "b.png"]),
        (["--json", "model.tflite", "a.jpg"], ["--json=-", "model.tflite", "a.jpg"]),
        (["--json", "bundled", "--data", "d"], ["--json=-", "bundled", "--data", "d"]),
        (["run", "--json", "-"], ["run", "--json", "-"]),
        (["run", "--json", "out.json"], ["run", "--json", "out.json"]),
        (["run", "--json", "/dev/stdout"], ["run", "--json", "/dev/stdout"]),
    ],
)
def test_some_options_may_stand_without_a_file(given: list[str], completed: list[str]) -> None:
    assert complete_options(given) == completed


@pytest.mark.parametrize(
    "arguments",
    [
        ("verify", "bundled"),
        ("doctor",),
        ("threshold", "bundled"),
        ("data", "check", "photos"),
        ("evaluate", "bundled", "--data", "photos"),
        ("predict", "bundled", "photos/malignant"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_json_on_stdout_stands_alone(
    arguments: tuple[str, ...],
    edge_melanoma: Callable[..., CommandResult],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    draw_pictures(tmp_path / "photos", *range(6))
    to_stdout = edge_melanoma(*arguments, "--json").stdout
    edge_melanoma(*arguments, "--json", "out.json")
    assert json.loads(to_stdout) == json.loads((tmp_path / "out.json").read_text())
