"""What `inspect` says of a file, and the limit of a contract that it may miss."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import CommandResult

from edge_melanoma.tflite.delegates import Target, left_to_cpu

Command = Callable[..., CommandResult]


def test_the_bundled_file_is_described(edge_melanoma: Command) -> None:
    told = json.loads(edge_melanoma("inspect", "bundled", "--json").stdout)
    assert told["seal"] == "intact"
    assert told["input"] == {
        "dtype": "int8",
        "scale": pytest.approx(1 / 255),
        "zero_point": -128,
        "shape": [1, 224, 224, 3],
    }
    assert set(told["tensors"]) == {"int8", "int32"}
    assert told["threshold_integer"] is not None
    assert told["left_to_cpu"].keys() < told["operators"].keys()
    assert told["fallback_ops"] == sum(told["left_to_cpu"].values())
    assert told["time_shares"].keys() == told["operators"].keys()
    assert sum(told["time_shares"].values()) == pytest.approx(1)
    # 53 convolutions beside 10 sums, a mean and a head.
    assert told["time_shares"]["CONV_2D"] + told["time_shares"]["DEPTHWISE_CONV_2D"] > 0.5


@pytest.mark.parametrize(("limit", "code"), [(0, 1), (1000, 0)])
def test_a_contract_limits_what_is_left_to_the_cpu(
    edge_melanoma: Command, tmp_path: Path, limit: int, code: int
) -> None:
    contract = tmp_path / "parity.toml"
    contract.write_text(f"max_fallback_ops = {limit}\n")
    result = edge_melanoma("inspect", "bundled", "--contract", contract)
    assert result.exit_code == code
    assert ("fails: " in result.stdout) == bool(code)


def test_each_target_has_its_list() -> None:
    operators = {"CONV_2D": 35, "REVERSE_V2": 6, "CUSTOM": 1}
    assert left_to_cpu(operators, Target.CPU) == {}
    assert left_to_cpu(operators, Target.GPU) == {"REVERSE_V2": 6, "CUSTOM": 1}
    assert left_to_cpu(operators, Target.NPU) == {"CUSTOM": 1}
