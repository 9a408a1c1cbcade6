"""Shards are a partition: nothing is lost, nothing double, and none much longer than another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_melanoma.data.scoring_shard import Shard, parse_shard
from edge_melanoma.errors import EdgeMelanomaError


@given(count=st.integers(0, 500), of=st.integers(1, 60))
def test_all_shards_together_are_the_whole(count: int, of: int) -> None:
    items = list(range(count))
    parts = [Shard(index=index, of=of).take(items) for index in range(1, of + 1)]
    assert [item for part in parts for item in part] == items
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@given(of=st.integers(1, 10**6), data=st.data())
def test_what_is_shown_is_read(of: int, data: st.DataObject) -> None:
    shard = Shard(index=data.draw(st.integers(1, of)), of=of)
    assert parse_shard(str(shard)) == shard


@pytest.mark.parametrize(
    "word", ["", "1", "0/4", "5/4", "a/b", "1/0", "-1/4", "1/4/2", "1.5/4", " 1/4", "1/9999999999"]
)
def test_what_is_no_part_is_refused(word: str) -> None:
    with pytest.raises(EdgeMelanomaError, match=r"expected i/n with i from 1 to n"):
        parse_shard(word)
