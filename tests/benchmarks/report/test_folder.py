"""`report` makes the page again, and says what is wrong with the files that it is made from."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from made import predictions_of
from parity_reports import report_of

from edge_melanoma.benchmarks.parity.contract import ParityContract
from edge_melanoma.benchmarks.report.page import render_junit, render_stored, write_bench
from edge_melanoma.benchmarks.settings import BenchCopies
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import PredictionSet, predictions_to_csv
from edge_melanoma.machine.files import write_json
from edge_melanoma.machine.schemas import read_json
from edge_melanoma.runs.models import TrainedModel

Cli = Callable[..., Any]
BEFORE = predictions_of(malignant=(0.9, 0.8, 0.4), benign=(0.1, 0.6, 0.2))
AFTER = predictions_of(malignant=(0.4, 0.8, 0.6), benign=(0.1, 0.6, 0.2))


def write(folder: Path) -> Path:
    write_bench(
        folder,
        report_of(BEFORE, AFTER).as_dict(),
        {"keras": BEFORE, "int8": AFTER},
        thumbnails={},
        copies=BenchCopies(),
    )
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(EdgeMelanomaError) as caught:
        render_stored(folder)
    return str(caught.value)


def test_the_page_is_the_same_when_it_is_made_again(tmp_path: Path) -> None:
    folder = write(tmp_path / "bench")
    assert render_stored(folder) == (folder / "report.html").read_text()


def test_a_run_that_was_not_benched_has_no_page(
    edge_melanoma: Cli, trained_run: TrainedModel, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained_run.folder, folder, ignore=shutil.ignore_patterns("bench"))
    result = edge_melanoma("report", folder)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"edge-melanoma: There is no bench in {folder / 'bench'}; make one with: edge-melanoma "
        "bench\n"
    )


def test_scores_of_other_images_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "bench")
    other = PredictionSet(
        image_ids=tuple(f"other{name}" for name in AFTER.image_ids),
        labels=AFTER.labels,
        scores=AFTER.scores,
    )
    (folder / "predictions_int8.csv").write_text(predictions_to_csv(other))
    assert refusal(folder) == (
        "The two prediction sets are of different images; score both models on the same ones."
    )


def test_scores_of_another_number_of_images_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "bench")
    fewer = predictions_of(malignant=(0.9,), benign=(0.1,))
    for mode in ("keras", "int8"):
        (folder / f"predictions_{mode}.csv").write_text(predictions_to_csv(fewer))
    assert refusal(folder) == (
        f"{folder / 'parity.json'} is of 6 images and predictions_keras.csv beside it of 2; bench "
        "the run again."
    )


@pytest.mark.parametrize("text", [None, "", "image_id,is_malignant,score\na,1,high\n"])
def test_a_table_of_scores_that_is_broken_is_named(tmp_path: Path, text: str | None) -> None:
    folder = write(tmp_path / "bench")
    path = folder / "predictions_int8.csv"
    path.unlink()
    if text is not None:
        path.write_text(text)
    expected = f"{path} is not a readable table of scores; bench the run again."
    if text == "":
        expected = (
            "The two prediction sets are of different images; score both models on the same ones."
        )
    assert refusal(folder) == expected


def test_a_bench_of_an_older_version_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "bench")
    parity = read_json(folder / "parity.json")
    del parity["candidates"][0]["inconclusive"]
    write_json(folder / "parity.json", parity)
    (folder / "thumbnails.json").unlink()
    assert refusal(folder) == (
        "The parity.json lacks what the page shows, as an older version wrote it; make it anew "
        "with: edge-melanoma bench"
    )


BEFORE_JUNIT = predictions_of(malignant=(0.9,) * 4, benign=(0.1,) * 4)
AFTER_JUNIT = predictions_of(malignant=(0.4, 0.9, 0.9, 0.9), benign=(0.1,) * 4)


def test_each_rule_is_a_case_and_each_miss_a_failure_with_its_sentence() -> None:
    contract = ParityContract(max_lost_malignant=0, max_size_mb=3)
    root = ElementTree.fromstring(
        render_junit(report_of(BEFORE_JUNIT, AFTER_JUNIT, contract=contract).as_dict())
    )
    counts = [root.attrib[name] for name in ("tests", "failures", "skipped")]
    assert (root.tag, counts) == ("testsuites", ["5", "1", "2"])
    cases = root.findall("./testsuite/testcase")
    assert [(case.attrib["classname"], case.attrib["name"]) for case in cases] == [
        ("edge-melanoma.int8", "max_recall_drop"),
        ("edge-melanoma.int8", "max_accuracy_drop"),
        ("edge-melanoma.int8", "max_lost_malignant"),
        ("edge-melanoma.int8", "max_size_mb"),
        ("edge-melanoma.int8", "require_full_int8"),
    ]
    sentence = "malignant pictures lost: 1, at most 0 allowed"
    told = [[(one.tag, one.attrib["message"]) for one in case] for case in cases]
    assert told[2:] == [[("failure", sentence)], [], []]
    assert cases[2][0].text == f"{sentence}\nlost malignant: 0.png"
    skipped = cases[0].find("skipped")
    assert skipped is not None
    assert skipped.attrib["message"].startswith("4 malignant pictures are too few to tell a drop")


def test_what_is_open_is_a_failure_where_the_contract_says_so() -> None:
    report = report_of(BEFORE_JUNIT, AFTER_JUNIT)
    strict = replace(report, contracts=replace(report.contracts, on_inconclusive="fail"))
    root = ElementTree.fromstring(render_junit(strict.as_dict()))
    assert [root.attrib[name] for name in ("failures", "skipped")] == ["2", "0"]
    assert "too few to tell" in root.findall(".//failure")[0].attrib["message"]


def test_a_report_that_passes_has_no_failures() -> None:
    root = ElementTree.fromstring(render_junit(report_of(BEFORE_JUNIT, BEFORE_JUNIT).as_dict()))
    assert root.attrib["failures"] == "0"
    assert root.findall(".//failure") == []


def test_signs_that_no_xml_may_hold_are_replaced() -> None:
    report = report_of(BEFORE_JUNIT, AFTER_JUNIT, name="a\x00<b>&\ud800")
    root = ElementTree.fromstring(render_junit(report.as_dict()))
    (name,) = [p.attrib["value"] for p in root.iter("property") if p.attrib["name"] == "dataset"]
    assert name == "a\N{REPLACEMENT CHARACTER}<b>&\N{REPLACEMENT CHARACTER}"
