"""`bench` on the command line: a small run of phantoms, its files, its contract, its exit codes."""

import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import typer
from tflite_files import two_output_model

from edge_melanoma.cli import app
from edge_melanoma.machine.files import sha256_of, write_json
from edge_melanoma.machine.schemas import read_json
from edge_melanoma.runs.models import TrainedModel

Cli = Callable[..., Any]
QUICK = ("--runs", "2", "--warmup", "0")
ANYTHING_GOES = "max_recall_drop = 1\nmax_accuracy_drop = 1\nmin_agreement = 0\n"


@pytest.fixture(scope="module")
def run(exported_run: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, so that its bench folder is this file's own."""
    folder = tmp_path_factory.mktemp("bench") / "run"
    shutil.copytree(exported_run.folder, folder)
    return folder


def refuse(result: Any, sentence: str) -> None:
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.strip().splitlines()[-1] == f"edge-melanoma: {sentence}"
    assert "Traceback" not in result.stderr


def test_a_missed_contract_is_exit_1_and_every_file_tells_of_it(
    edge_melanoma: Cli, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    limits = ANYTHING_GOES + "max_size_mb = 0.001\n[int8]\nrequire_full_int8 = true\n"
    (tmp_path / "parity.toml").write_text(limits)
    junit, html = tmp_path / "p.xml", tmp_path / "p.html"
    options = ("--json", "copy.json", "--write-contract", "draft.toml")
    missed = edge_melanoma("bench", run, *QUICK, *options, "--junit", junit, "--html", html)
    assert missed.exit_code == 1
    parity = read_json(run / "bench" / "parity.json")
    assert parity == read_json(Path("copy.json"))
    check_fields(parity, (run / "bench" / "report.html").read_text())
    assert "The contract is parity.toml" in missed.stderr
    assert "Wrote the contract draft.toml" in missed.stderr
    assert {path.name for path in (run / "bench").iterdir()} == {
        "config.toml",
        "files.json",
        "parity.json",
        "parity.md",
        "report.html",
        "thumbnails.json",
        "reliability.png",
        *(f"predictions_{mode}.csv" for mode in ("keras", "float32", "float16", "int8")),
    }

    root = ElementTree.parse(junit).getroot()
    assert (root.attrib["tests"], root.attrib["failures"]) == ("13", "3")
    assert html.read_text() == (run / "bench" / "report.html").read_text()
    assert "Fail: float32, float16, int8; 3 of 13 checks missed" in html.read_text()

    first = html.read_text()
    html.unlink()
    again = edge_melanoma("report", run, "--out", html)
    assert (again.exit_code, again.stdout) == (0, f"{html}\n")
    assert html.read_text() == first


@pytest.mark.thorough
def test_a_kept_contract_is_exit_0_and_one_that_is_named_goes_first(
    edge_melanoma: Cli, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parity.toml").write_text(ANYTHING_GOES + "max_size_mb = 0.001\n")
    kept = tmp_path / "kept.toml"
    kept.write_text(ANYTHING_GOES + "[int8]\nrequire_full_int8 = true\n")
    assert edge_melanoma("bench", run, *QUICK, "--contract", kept).exit_code == 0


@pytest.mark.thorough
def test_the_answer_is_all_that_is_printed_and_few_pictures_replace_no_bench(
    edge_melanoma: Cli, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    folder = tmp_path / "my run"
    shutil.copytree(run, folder, ignore=shutil.ignore_patterns("bench*"))
    contract = tmp_path / "strict.toml"
    contract.write_text('on_inconclusive = "fail"\n')
    whole, few = (
        edge_melanoma("bench", folder, *QUICK, *options)
        for options in ((), ("--limit", "6", "--contract", contract))
    )
    # Six pictures prove nothing: that is no failure but where the contract says so.
    assert (whole.exit_code, few.exit_code) == (0, 1)
    stored = read_json(folder / "bench" / "parity.json")
    limited = read_json(folder / "bench-limit-6" / "parity.json")
    assert (stored["dataset"]["images"] > 6, limited["dataset"]["images"]) == (True, 6)
    assert {one["verdict"] for one in limited["candidates"]} == {"inconclusive"}
    lines = few.stdout.splitlines()
    assert [line.split()[0] for line in lines if line[0] != " "] == [
        *(candidate["mode"] for candidate in best_first(limited)),
        "Report",
        "Next",
    ]
    assert lines[-2:] == [
        f"Report  '{folder}/bench-limit-6/report.html'",
        f"Next    edge-melanoma android '{folder}'",
    ]
    assert all(len(line) <= 80 for line in lines[:-2])
    kept = tomllib.loads((folder / "bench-limit-6" / "config.toml").read_text())["bench"]
    assert kept.items() >= {"limit": 6, "kernels": False}.items()
    verified = edge_melanoma("verify", folder)
    assert (verified.exit_code, "unknown" in verified.stdout) == (0, False)


def best_first(parity: dict[str, Any]) -> list[dict[str, Any]]:
    return sorted(
        parity["candidates"], key=lambda one: (-one["metrics"]["recall"], one["size_bytes"])
    )


def check_fields(parity: dict[str, Any], page: str) -> None:
    """Fields of old and new ones, and the page of the same figures."""
    assert parity["contract"]["source"] == "parity.toml"
    int8 = parity["candidates"][-1]
    assert int8["mode"] == "int8"
    old = {"drop", "agreement", "max_score_difference", "flips", "tests", "latency_ratio"}
    assert {model["runtime"] for model in parity["candidates"]} == {"ai_edge_litert"}
    assert not {"at_own_threshold"} & set(int8)
    new = {"drop_intervals", "share_intervals", "operating_points", "flip_details", "proof"}
    assert old | new | {"verdict", "failures", "checks", "partial_auc", "full_int8"} <= set(int8)
    assert int8["full_int8"] is True
    assert parity["candidates"][0]["full_int8"] is False
    details = [image["kind"] for image in int8["flip_details"]]
    assert {kind: details.count(kind) for kind in int8["flips"]} == int8["flips"]
    assert all(candidate["sha256"] in page for candidate in parity["candidates"])


def test_a_run_is_benched_in_vain_without_its_sections_export(
    edge_melanoma: Cli, run: Path, tmp_path: Path
) -> None:
    contract = tmp_path / "c.toml"
    contract.write_text("[int16x8]\nmax_size_mb = 3\n")
    refuse(
        edge_melanoma("bench", run, "--contract", contract),
        f"The contract (c.toml) has the section [int16x8], and the run {run} no such export; make "
        f"it with: edge-melanoma export {run} --quantize int16x8",
    )


def test_a_drafted_contract_replaces_none(edge_melanoma: Cli, run: Path, tmp_path: Path) -> None:
    draft = tmp_path / "parity.toml"
    draft.write_text(ANYTHING_GOES)
    refuse(
        edge_melanoma("bench", run, "--write-contract", draft),
        f"{draft} exists, and a contract is not replaced; give --write-contract another name or "
        "remove it first.",
    )
    assert draft.read_text() == ANYTHING_GOES


def test_images_of_one_class_define_no_recall(
    edge_melanoma: Cli, run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    split = read_json(folder / "split.json")
    benign = [name for name in split["test"] if name.startswith("benign")]
    write_json(folder / "split.json", split | {"test": benign})
    data = read_json(folder / "manifest.json")["dataset"]["name"]
    refuse(
        edge_melanoma("bench", folder),
        f"{data}, test side has no malignant images; recall and specificity need both classes: "
        "bench it on images of both.",
    )


def test_a_candidate_with_two_outputs_is_refused(
    edge_melanoma: Cli, run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    data = two_output_model()
    (folder / "exports" / "model_int8.tflite").write_bytes(data)
    manifest = read_json(folder / "exports" / "model_int8.json")
    write_json(folder / "exports" / "model_int8.json", manifest | {"sha256": sha256_of(data)})
    result = edge_melanoma("bench", folder, *QUICK)
    assert result.exit_code == 2
    assert result.stderr.strip().splitlines()[-1] == (
        f"edge-melanoma: {folder / 'exports' / 'model_int8.tflite'} is not a lesion classifier: "
        "expected one input and one output, beside which only gate and class_activation_map stand; "
        "found 1 and 2."
    )


def test_an_export_that_is_not_its_manifests_is_refused(
    edge_melanoma: Cli, run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    model = folder / "exports" / "model_int8.tflite"
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    refuse(
        edge_melanoma("bench", folder),
        f"{model} is not the file that model_int8.json describes (its sha256 differs); export it "
        "again.",
    )


def test_the_example_for_github_names_options_that_there_are() -> None:
    text = (Path(__file__).parents[2] / "benchmarks/github_actions/parity.yml").read_text()
    (command,) = re.findall(r"edge-melanoma bench.*\n.*", text)
    asked = set(re.findall(r"--[a-z-]+", command))
    bench = typer.main.get_group(app).commands["bench"]
    known = {name for option in bench.params for name in option.opts}
    assert asked == {"--data", "--contract", "--junit", "--html", "--json"}
    assert asked <= known
