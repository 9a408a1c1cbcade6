"""Which worker does what: TF_CONFIG read defensively, and shares that make a whole."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.training.workers import Cluster, Strategy, own_rows, read_cluster

WORKERS = ["10.0.0.1:2222", "10.0.0.2:2222"]


def read(told: object) -> Cluster | None:
    text = told if isinstance(told, str) else json.dumps(told)
    return read_cluster(Strategy.MULTIWORKER, {"TF_CONFIG": text})


def test_workers_are_read() -> None:
    told = {"cluster": {"worker": WORKERS}, "task": {"type": "worker", "index": 1}}
    assert read(told) == Cluster(addresses=tuple(WORKERS), index=1)


def test_a_chief_comes_before_the_workers() -> None:
    cluster = {"chief": ["10.0.0.9:1"], "worker": WORKERS}
    chief = read({"cluster": cluster, "task": {"type": "chief", "index": 0}})
    last = read({"cluster": cluster, "task": {"type": "worker", "index": 1}})
    assert chief == Cluster(addresses=("10.0.0.9:1", *WORKERS), index=0)
    assert chief.is_first
    assert last == Cluster(addresses=("10.0.0.9:1", *WORKERS), index=2)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("no json", "not JSON with a cluster and a task"),
        ([], "not JSON with a cluster and a task"),
        ({"cluster": {"worker": WORKERS}}, "not JSON with a cluster and a task"),
        (
            {"cluster": {"ps": WORKERS}, "task": {"type": "ps", "index": 0}},
            "the job 'ps', expected worker",
        ),
        (
            {"cluster": {"worker": ["nowhere"]}, "task": {"type": "worker", "index": 0}},
            "'nowhere' is no host:port",
        ),
        (
            {"cluster": {"worker": WORKERS[:1] * 2}, "task": {"type": "worker", "index": 0}},
            "names an address twice",
        ),
        (
            {"cluster": {"worker": WORKERS}, "task": {"type": "worker", "index": 2}},
            "task 'worker 2' is not in its cluster",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_with_an_example(told: object, reason: str) -> None:
    with pytest.raises(EdgeMelanomaError, match=reason) as caught:
        read(told)
    assert '"task": {"type": "worker", "index": 0}' in str(caught.value)


def test_the_variable_and_the_option_go_together() -> None:
    with pytest.raises(EdgeMelanomaError, match="needs the environment variable TF_CONFIG"):
        read_cluster(Strategy.MULTIWORKER, {})
    told = json.dumps({"cluster": {"worker": WORKERS}, "task": {"type": "worker", "index": 0}})
    with pytest.raises(EdgeMelanomaError, match="each of them would train by itself"):
        read_cluster(Strategy.NONE, {"TF_CONFIG": told})
    assert read_cluster(Strategy.NONE, {}) is None


@given(rows=st.integers(0, 300), batch_size=st.integers(1, 40), parts=st.integers(1, 9))
def test_shares_of_every_batch_make_it(rows: int, batch_size: int, parts: int) -> None:
    shares = [
        own_rows(rows, batch_size=batch_size, parts=parts, index=index) for index in range(parts)
    ]
    assert np.array_equal(np.sort(np.concatenate(shares)), np.arange(rows))
    for start in range(0, rows, batch_size):
        end = min(start + batch_size, rows)
        sizes = [int(np.sum((share >= start) & (share < end))) for share in shares]
        assert max(sizes) - min(sizes) <= 1
        assert sizes == sorted(sizes, reverse=True)
