"""Parts of an evaluation or a bench, merged, say what the command says of the whole set."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_melanoma.data.phantoms import write_phantoms
from edge_melanoma.machine.files import read_json, sha256_of
from edge_melanoma.runs.models import TrainedModel

Cli = Callable[..., Any]
QUICK = ("--runs", "2", "--warmup", "0")


@pytest.fixture(scope="module")
def run(exported_run: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, so that its bench folder is this file's own."""
    folder = tmp_path_factory.mktemp("merge") / "run"
    shutil.copytree(exported_run.folder, folder)
    return folder


@pytest.fixture(scope="module")
def others(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures from elsewhere, some of them copies of what may have been learned, and a bad one."""
    folder = tmp_path_factory.mktemp("others") / "others"
    write_phantoms(folder, count=30, seed=9)
    for number, path in enumerate(sorted((phantoms / "benign").iterdir())[:4]):
        shutil.copy(path, folder / "benign" / f"copy-{number}{path.suffix}")
    (folder / "malignant" / "a.png").write_bytes(b"no picture")
    return folder


def make_parts(
    edge_melanoma: Cli, command: tuple[Any, ...], of: int, folder: Path, *, name: str = "part"
) -> list[Path]:
    files = [folder / f"{name}-{index}.json" for index in range(1, of + 1)]
    for index, file in enumerate(files, start=1):
        result = edge_melanoma(*command, "--shard", f"{index}/{of}", "--json", file)
        assert result.exit_code == 0, result.stderr
    return files


def refuse(result: Any, sentence: str) -> None:
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr.strip().splitlines()[-1]
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("of", [1, 3])
def test_parts_of_an_evaluation_are_the_evaluation(
    edge_melanoma: Cli, run: Path, others: Path, tmp_path: Path, of: int
) -> None:
    command = ("evaluate", run / "exports" / "model_int8.tflite", "--data", others)
    whole, merged = tmp_path / "whole.json", tmp_path / "merged.json"
    shown = edge_melanoma(*command, "--json", whole).stdout
    assert read_json(whole)["left_out"] > 0, "some are copies of what was learned"
    parts = make_parts(edge_melanoma, command, of, tmp_path)
    result = edge_melanoma("merge", *reversed(parts), "--json", merged)
    assert (result.exit_code, result.stdout) == (0, shown)
    assert merged.read_bytes() == whole.read_bytes()


def test_parts_may_be_empty_or_of_one_class(edge_melanoma: Cli, run: Path, tmp_path: Path) -> None:
    write_phantoms(tmp_path / "few", count=4, seed=8)
    command = ("evaluate", run / "exports" / "model_int8.tflite", "--data", tmp_path / "few")
    whole, merged = tmp_path / "whole.json", tmp_path / "merged.json"
    edge_melanoma(*command, "--json", whole)
    edge_melanoma("merge", *make_parts(edge_melanoma, command, 5, tmp_path), "--json", merged)
    assert merged.read_bytes() == whole.read_bytes()


def test_parts_of_the_own_test_side_by_keras(edge_melanoma: Cli, run: Path, tmp_path: Path) -> None:
    command = ("evaluate", run, "--threshold", "0.3")
    whole, merged = tmp_path / "whole.json", tmp_path / "merged.json"
    edge_melanoma(*command, "--json", whole)
    edge_melanoma("merge", *make_parts(edge_melanoma, command, 3, tmp_path), "--json", merged)
    assert merged.read_bytes() == whole.read_bytes()


def test_pictures_that_leak_are_told_apart_in_parts_too(
    edge_melanoma: Cli, run: Path, tmp_path: Path
) -> None:
    leaky = tmp_path / "leaky"
    shutil.copytree(run, leaky)
    split = read_json(leaky / "split.json")
    split["leaked_test"] = sorted(split["test"])[1:-1:2]
    (leaky / "split.json").write_text(json.dumps(split))
    whole, merged = tmp_path / "whole.json", tmp_path / "merged.json"
    edge_melanoma("evaluate", leaky, "--json", whole)
    parts = make_parts(edge_melanoma, ("evaluate", leaky), 2, tmp_path)
    edge_melanoma("merge", *parts, "--json", merged)
    assert "test_without_leaked" in read_json(whole)
    assert merged.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("elsewhere", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_parts_of_a_bench_are_the_bench(
    edge_melanoma: Cli, run: Path, others: Path, tmp_path: Path, elsewhere: bool
) -> None:
    given = ("--data", others) if elsewhere else ()
    bench = run / "bench" / others.name if elsewhere else run / "bench"
    code = edge_melanoma("bench", run, *given, *QUICK).exit_code
    whole = read_json(bench / "parity.json")
    kept = {path.name: path.read_bytes() for path in bench.glob("predictions_*.csv")}
    before = contents(run)
    parts = make_parts(edge_melanoma, ("bench", run, *given), 2, tmp_path)
    assert contents(run) == before, "a part leaves nothing in the run"
    result = edge_melanoma("merge", *parts, "--run", run, *given, *QUICK)
    assert result.exit_code == code, result.stderr
    assert without_times(read_json(bench / "parity.json")) == without_times(whole)
    assert {p.name: p.read_bytes() for p in bench.glob("predictions_*.csv")} == kept


def contents(folder: Path) -> dict[Path, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path: sha256_of(path.read_bytes()) for path in files}


def without_times(parity: dict[str, Any]) -> dict[str, Any]:
    """Everything but what a clock says."""
    timed = {"latency_ms", "latency_ratio", "timing", "cold_start", "failures", "verdict"}
    kept = {name: value for name, value in parity.items() if name not in {"machine", "tables"}}
    models = [parity["reference"], *parity["candidates"]]
    bare = [{k: v for k, v in model.items() if k not in timed} for model in models]
    return kept | {"reference": bare[0], "candidates": bare[1:]}


def test_parts_that_make_no_whole_are_refused(
    edge_melanoma: Cli, run: Path, others: Path, tmp_path: Path
) -> None:
    model = run / "exports" / "model_int8.tflite"
    one, two, three = make_parts(edge_melanoma, ("evaluate", model, "--data", others), 3, tmp_path)
    (other, *_) = make_parts(
        edge_melanoma, ("evaluate", run, "--data", others), 1, tmp_path, name="other"
    )
    (keras, *_) = make_parts(
        edge_melanoma, ("evaluate", run, "--data", others), 3, tmp_path, name="keras"
    )
    refuse(edge_melanoma("merge", one, three), "Of 3 parts 1 are missing, the first of them 2/3")
    refuse(edge_melanoma("merge", one, two, three, two), "are both the part 2/3; give each once")
    refuse(edge_melanoma("merge", one, two, three, other), "The parts are of 1 and of 3")
    refuse(edge_melanoma("merge", keras, two, three), "they differ in 'model'")
    refuse(edge_melanoma("merge", tmp_path / "none.json"), "There is no file")
    refuse(edge_melanoma("merge", one, two, three, "--run", run), "--run is for parts of bench")
    told = read_json(two)
    for name, value in (
        ("schema", 7),
        ("scores", {"scores": [0.5]}),
        ("scores", {"scores": [2.0] * len(told["image_id"])}),
        ("scores", [1]),
        ("part", "2/3"),
        ("common", 5),
    ):
        broken = tmp_path / "broken.json"
        broken.write_text(json.dumps({**told, name: value}))
        refuse(edge_melanoma("merge", one, broken, three), "is not a part that evaluate or bench")
    twice = tmp_path / "twice.json"
    first = read_json(one)
    columns = ("image_id", "is_malignant", "sha256", "scores")
    twice.write_text(json.dumps({**told, **{name: first[name] for name in columns}}))
    refuse(edge_melanoma("merge", one, twice, three), "A picture stands in two parts")


def test_many_bad_pictures_are_an_error_of_the_whole_alone(
    edge_melanoma: Cli, run: Path, others: Path, tmp_path: Path
) -> None:
    """One bad picture of 35 is fewer than 5 %, and more of a part."""
    bad = tmp_path / "bad"
    shutil.copytree(others, bad)
    command = ("evaluate", run / "exports" / "model_int8.tflite", "--data", bad)
    parts = make_parts(edge_melanoma, command, 2, tmp_path)
    assert edge_melanoma("merge", *parts).exit_code == 0
    for name in ("b.png", "c.png"):
        (bad / "malignant" / name).write_bytes(b"no picture")
    parts = make_parts(edge_melanoma, command, 2, tmp_path)
    refuse(edge_melanoma("merge", *parts), "of 37 images cannot be used, more than 5%")


def test_a_bench_of_other_models_is_refused(edge_melanoma: Cli, run: Path, tmp_path: Path) -> None:
    (part,) = make_parts(edge_melanoma, ("bench", run), 1, tmp_path)
    fewer = tmp_path / "fewer"
    shutil.copytree(run, fewer)
    for path in (fewer / "exports").glob("model_float16*"):
        path.unlink()
    refuse(edge_melanoma("merge", part, "--run", fewer), "another float16 model than that of")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("evaluate", "--shard", "1/2"), "--shard 1/2 needs --json FILE"),
        (("bench", "--shard", "1/2"), "--shard 1/2 needs --json FILE"),
        (("bench", "--shard", "3/2", "--json", "p.json"), "expected i/n with i from 1 to n"),
        (("bench", "--shard", "1/2", "--json", "p.json", "--limit", "4"), "--limit is not for"),
        (("bench", "--shard", "1/2", "--json", "p.json", "--kernels"), "--kernels is not for"),
        (
            ("evaluate", "--shard", "1/2", "--json", "p.json", "--external", "a=b"),
            "--external is not for",
        ),
    ],
)
def test_what_a_part_cannot_have_is_refused(
    edge_melanoma: Cli,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    refuse(edge_melanoma(arguments[0], run, *arguments[1:]), sentence)
    assert list(tmp_path.iterdir()) == []
