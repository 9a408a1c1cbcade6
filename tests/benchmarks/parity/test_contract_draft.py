"""A drafted contract: the run that it was drafted from keeps it, and not by a mile."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made import predictions_of
from parity_reports import report_of

from edge_melanoma.benchmarks.parity.contract_file import draft_contract, read_contracts
from edge_melanoma.benchmarks.parity.verdict import ParityReport
from edge_melanoma.evaluation.predictions import PredictionSet


@pytest.fixture(scope="module")
def scores() -> tuple[PredictionSet, PredictionSet]:
    """Of 100 malignant images four are lost, of 100 benign three alarm."""
    spread = tuple(np.linspace(0.6, 0.99, 96))
    before = predictions_of(malignant=spread + (0.9,) * 4, benign=(0.1,) * 100)
    after = predictions_of(malignant=spread + (0.2,) * 4, benign=(0.7,) * 3 + (0.1,) * 97)
    return before, after


@pytest.fixture(scope="module")
def report(scores: tuple[PredictionSet, PredictionSet]) -> ParityReport:
    return report_of(*scores)


def test_the_run_keeps_the_contract_that_it_drafts(
    report: ParityReport, scores: tuple[PredictionSet, PredictionSet], tmp_path: Path
) -> None:
    assert not report.passed
    path = tmp_path / "parity.toml"
    path.write_text(draft_contract(report.as_dict()))
    contract = read_contracts(path, modes=("int8",)).of("int8")
    again = report_of(*scores, contract=contract)
    assert again.candidates[0].failures == ()
    assert {outcome.rule for outcome in again.candidates[0].outcomes} >= {
        "max_recall_drop",
        "max_lost_malignant",
        "min_recall_lower_bound",
        "recall_noninferiority_margin",
        "max_auc_drop",
        "max_size_mb",
        "max_p90_ms",
        "max_latency_ratio",
        "require_full_int8",
    }


def test_the_room_is_one_standard_error_of_the_flips(report: ParityReport) -> None:
    limits = tomllib.loads(draft_contract(report.as_dict()))["int8"]
    # Four flips of 100 malignant images: 0.04 and sqrt(4) / 100; seven of 200 images in all.
    assert limits["max_recall_drop"] == 0.06
    assert limits["max_lost_malignant"] == 4 + 2
    # 7 / 200 + sqrt(7) / 200 = 0.04823, rounded up.
    assert limits["max_accuracy_drop"] == 0.0483
    # 1 - 0.035 - 0.01323 = 0.95177, rounded down.
    assert limits["min_agreement"] == 0.9517
    assert limits["max_size_mb"] == 2.66
    assert limits["max_p90_ms"] == 8.0
    assert limits["max_latency_ratio"] == 2.0


def test_a_candidate_without_flips_gets_the_room_of_one_image() -> None:
    same = predictions_of(malignant=(0.9,) * 50, benign=(0.1,) * 50)
    limits = tomllib.loads(draft_contract(report_of(same, same).as_dict()))["int8"]
    assert (limits["max_recall_drop"], limits["max_lost_malignant"]) == (0.02, 1)
    assert (limits["min_agreement"], limits["max_auc_drop"]) == (0.99, 0.0001)


def test_times_of_a_noisy_machine_set_no_limits(report: ParityReport) -> None:
    noisy = replace(report, machine={**report.machine, "contaminated": True})
    text = draft_contract(noisy.as_dict())
    assert "# No limits of time: other load had the processor." in text
    quiet = tomllib.loads(draft_contract(report.as_dict()))["int8"]
    assert set(quiet) - set(tomllib.loads(text)["int8"]) == {"max_p90_ms", "max_latency_ratio"}


def test_a_name_cannot_leave_its_comment() -> None:
    same = predictions_of(malignant=(0.9,), benign=(0.1,))
    text = draft_contract(report_of(same, same, name="a\nmax_size_mb = 0\x7f").as_dict())
    assert "# Drafted from a?max_size_mb = 0?: 2 images, 1 malignant, threshold 0.5000.\n" in text
    assert list(tomllib.loads(text)) == ["int8"]


def test_every_limit_is_commented_with_what_was_measured(report: ParityReport) -> None:
    lines = draft_contract(report.as_dict()).splitlines()
    assert all("  # measured " in line for line in lines if " = " in line and line[0] != "#")
    assert "max_lost_malignant = 6                 # measured 4" in lines
