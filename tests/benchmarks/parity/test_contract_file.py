"""parity.toml: what it may say, section by section, and how it is told what is wrong."""

from pathlib import Path

import pytest

from edge_melanoma.benchmarks.parity.contract import (
    DEFAULT_SOURCE,
    Contracts,
    ParityContract,
)
from edge_melanoma.benchmarks.parity.contract_file import read_contracts
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.tflite.modes import Mode

MODES = tuple(mode.value for mode in Mode)


def test_a_contract_file_changes_only_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "contract.toml"
    path.write_text("max_recall_drop = 0\nmax_size_mb = 2.9\n")
    contracts = read_contracts(path, modes=MODES)
    expected = ParityContract(max_recall_drop=0, max_size_mb=2.9)
    assert contracts == Contracts(general=expected, source="contract.toml")
    assert contracts.of("int8") == expected


def test_without_a_file_the_defaults_hold_for_every_mode() -> None:
    assert Contracts().of("int8") == ParityContract()
    assert Contracts().source == DEFAULT_SOURCE


def test_a_section_changes_what_it_names_and_takes_the_rest_from_above(tmp_path: Path) -> None:
    path = tmp_path / "contract.toml"
    path.write_text(
        "max_recall_drop = 0.01\nmax_size_mb = 10\n"
        "[int8]\nmax_size_mb = 2.9\nrequire_full_int8 = true\n[int8-qat]\nmax_recall_drop = 0\n"
    )
    contracts = read_contracts(path, modes=MODES)
    above = ParityContract(max_recall_drop=0.01, max_size_mb=10)
    assert contracts.of("float32") == above
    assert contracts.of("int8") == ParityContract(
        max_recall_drop=0.01, max_size_mb=2.9, require_full_int8=True
    )
    assert contracts.of("int8-qat") == ParityContract(max_recall_drop=0, max_size_mb=10)
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
        read_contracts(path, modes=MODES)
    assert str(caught.value) == f"The contract {path} {ending}"


def test_a_contract_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "contract.toml"
    with pytest.raises(EdgeMelanomaError) as caught:
        read_contracts(path, modes=MODES)
    assert str(caught.value) == (
        f"The contract {path} is not a readable TOML file: "
        f"[Errno 2] No such file or directory: '{path}'."
    )


def test_a_mistake_in_a_section_is_told_with_the_section(tmp_path: Path) -> None:
    path = tmp_path / "contract.toml"
    path.write_text("[int8]\nmax_p90 = 3\n")
    with pytest.raises(EdgeMelanomaError) as caught:
        read_contracts(path, modes=MODES)
    assert str(caught.value) == (
        f"The section [int8] of the contract {path} has the unknown key 'max_p90'; did you mean "
        f"'max_p90_ms'?"
    )
