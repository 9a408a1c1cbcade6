"""The rule by which components become a distance, and what is refused of a manifest."""

import numpy as np
import pytest

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.tflite.gate import GateRule, Placed, read_rule
from edge_melanoma.tflite.quantization import TensorQuantization

RULE = GateRule(components=3, one_sided=1, limit=25.0)
INT8 = TensorQuantization(dtype="int8", scale=0.25, zero_point=0)


def test_the_last_components_count_on_one_side_only() -> None:
    values = np.array([[3.0, -4.0, 0.0], [3.0, -4.0, 2.0], [3.0, -4.0, -2.0]])
    assert RULE.distances(values).tolist() == [25.0, 29.0, 25.0]


def test_a_picture_at_the_limit_is_judged() -> None:
    assert Placed(distance=25.0, limit=25.0).in_domain
    assert not Placed(distance=25.0625, limit=25.0).in_domain


def test_a_file_is_told_the_limit_of_its_integers() -> None:
    told = RULE.describe(INT8)
    assert (told["limit"], told["limit_integer"]) == (25.0, 400)
    floats = TensorQuantization(dtype="float32", scale=0.0, zero_point=0)
    assert RULE.describe(floats)["limit_integer"] is None
    assert read_rule(told, source="m.json") == RULE
    assert read_rule(None, source="m.json") is None


@pytest.mark.parametrize(
    "change",
    [
        {"limit": 0},
        {"limit": -1},
        {"limit": float("nan")},
        {"limit": float("inf")},
        {"limit": "far"},
        {"one_sided": 3},
        {"one_sided": -1},
        {"one_sided": None},
        {"shape": []},
        {"shape": None},
    ],
)
def test_a_gate_that_cannot_be_is_refused_in_a_sentence(change: dict[str, object]) -> None:
    with pytest.raises(EdgeMelanomaError, match=r"The gate in m\.json cannot be used: expected"):
        read_rule(RULE.describe(INT8) | change, source="m.json")
