"""parity.toml: what it may say, section by section, and how it is told what is wrong."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made import predictions_of
from parity_reports import report_of

from edge_melanoma.benchmarks.parity.contract import (
    DEFAULT_SOURCE,
    Contracts,
    ParityContract,
)
from edge_melanoma.benchmarks.parity.contract_file import draft_contract, read_contracts
from edge_melanoma.benchmarks.parity.rules import PASS
from edge_melanoma.benchmarks.parity.verdict import ParityReport
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import PredictionSet


def test_a_contract_file_changes_only_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "contract.toml"
    path.write_text("max_recall_drop = 0\nmax_size_mb = 2.9\n")
    contracts = read_contracts(path)
    expected = ParityContract(max_recall_drop=0, max_size_mb=2.9)
    assert contracts == Contracts(general=expected, source="contract.toml")
    assert contracts.of("float32") == expected


@pytest.mark.parametrize("said", ["pass", "fail"])
def test_what_an_inconclusive_verdict_counts_as_stands_above_the_sections(
    tmp_path: Path, said: str
) -> None:
    path = tmp_path / "contract.toml"
    path.write_text(f'on_inconclusive = "{said}"\n[int8]\nmax_size_mb = 2.9\n')
    assert read_contracts(path).on_inconclusive == said


def test_without_a_file_the_defaults_hold_for_every_mode() -> None:
    assert Contracts().of("float32") == ParityContract()
    assert list(Contracts().of("int8").limits()) == [
        "max_recall_drop",
        "max_accuracy_drop",
        "require_full_int8",
    ]
    assert Contracts().source == DEFAULT_SOURCE


def test_a_section_changes_what_it_names_and_takes_the_rest_from_above(tmp_path: Path) -> None:
    path = tmp_path / "contract.toml"
    path.write_text(
        "max_recall_drop = 0.01\nmax_size_mb = 10\n"
        "[int8]\nmax_size_mb = 2.9\nrequire_full_int8 = true\n[int8-qat]\nmax_recall_drop = 0\n"
    )
    contracts = read_contracts(path)
    above = ParityContract(max_recall_drop=0.01, max_size_mb=10)
    assert contracts.of("float32") == above
    assert contracts.of("int8") == ParityContract(
        max_recall_drop=0.01, max_size_mb=2.9, require_full_int8=True
    )
    assert contracts.of("int8-qat") == ParityContract(
        max_recall_drop=0, max_size_mb=10, require_full_int8=True
    )
    assert list(contracts.as_dict()["modes"]) == ["int8", "int8-qat"]


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("recall_drop = 0", "has the unknown key 'recall_drop'; did you mean 'max_recall_drop'?"),
        ("p90 = 1", "has the unknown key 'p90'; did you mean 'max_p90_ms'?"),
        ("max_p90_ms = 'ten'", "gives max_p90_ms no number: 'ten'."),
        ("max_p90_ms = true", "gives max_p90_ms no number: True."),
        ("[max_p90_ms]", "gives max_p90_ms no number: {}."),
        ("max_recall_drop = nan", "gives max_recall_drop no number: nan."),
        (
            "min_agreement = 99",
            "gives min_agreement the limit 99; expected a share from 0 to 1.",
        ),
        ("int8 = 0.1", "gives int8 a value; expected a section of limits, [int8]."),
        ("[int9]", "has the unknown section 'int9'; did you mean 'int8'?"),
        (
            "max_lost_malignant = 1.5",
            "gives max_lost_malignant the limit 1.5; expected a whole number, 0 or more.",
        ),
        ("require_full_int8 = 1", "gives require_full_int8 neither true nor false: 1."),
        (
            "recall_noninferiority_margin = 0",
            "gives recall_noninferiority_margin the limit 0; expected a share above 0, up to 1.",
        ),
        (
            "min_recall_lower_bound = 95",
            "gives min_recall_lower_bound the limit 95; expected a share from 0 to 1.",
        ),
        (
            "on_inconclusive = 'maybe'",
            'gives on_inconclusive the value \'maybe\'; expected "pass" or "fail".',
        ),
        ("max_size_mb = -1", "gives max_size_mb the limit -1; expected 0 or more."),
        (
            "max_p90_ms =",
            "is not a readable TOML file: Invalid value (at end of document).",
        ),
    ],
)
def test_a_contract_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, ending: str) -> None:
    path = tmp_path / "contract.toml"
    path.write_text(text)
    with pytest.raises(EdgeMelanomaError) as caught:
        read_contracts(path)
    assert str(caught.value) == f"The contract {path} {ending}"


def test_a_contract_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "contract.toml"
    with pytest.raises(EdgeMelanomaError) as caught:
        read_contracts(path)
    assert str(caught.value) == (f"The contract {path} cannot be read: No such file or directory.")


def test_a_mistake_in_a_section_is_told_with_the_section(tmp_path: Path) -> None:
    path = tmp_path / "contract.toml"
    path.write_text("[int8]\nmax_p90 = 3\n")
    with pytest.raises(EdgeMelanomaError) as caught:
        read_contracts(path)
    assert str(caught.value) == (
        f"The section [int8] of the contract {path} has the unknown key 'max_p90'; did you mean "
        f"'max_p90_ms'?"
    )


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
    assert report.candidates[0].verdict() != PASS
    path = tmp_path / "parity.toml"
    path.write_text(draft_contract(report.as_dict()))
    contract = read_contracts(path).of("int8")
    again = report_of(*scores, contract=contract)
    assert again.candidates[0].verdict() == PASS
    assert {check.rule for check in again.candidates[0].checks()} >= {
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


def test_a_candidate_without_flips_gets_the_room_that_its_images_can_show() -> None:
    same = predictions_of(malignant=(0.9,) * 50, benign=(0.1,) * 50)
    limits = tomllib.loads(draft_contract(report_of(same, same).as_dict()))["int8"]
    # What 50 malignant images and 100 in all can show: z^2 / (n + z^2).
    assert (limits["max_recall_drop"], limits["max_lost_malignant"]) == (0.0514, 1)
    assert limits["min_agreement"] == 0.9736
    # Equal ranks leave the doubt of one pair, sqrt(2) / 2500.
    assert limits["max_auc_drop"] == 0.0006
    again = report_of(same, same, contract=ParityContract(**limits))
    assert again.candidates[0].verdict() == PASS


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
