"""Text from outside stays text, and tables keep their columns."""

import pytest

from edge_melanoma.machine.markdown import share_of, table_of, text_of


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a|b", r"a\|b"),
        ("<script>", "&lt;script&gt;"),
        ("*bold* _it_ `code` [x](y)", r"\*bold\* \_it\_ \`code\` \[x\](y)"),
        ("two\n lines", "two lines"),
        ("A & B", "A &amp; B"),
        ("max_recall_drop _ __init__", r"max_recall_drop \_ \_\_init\_\_"),
        ("~~gone~~", r"\~\~gone\~\~"),
        (7, "7"),
    ],
)
def test_nothing_in_a_text_is_markdown(value: object, shown: str) -> None:
    assert text_of(value) == shown


def test_a_table_has_a_header_a_rule_and_its_rows() -> None:
    assert table_of(("a", "b"), [["1", "2"]]) == ["| a | b |", "| --- | --- |", "| 1 | 2 |"]


def test_shares_show_their_interval_and_what_is_undefined_is_a_dash() -> None:
    assert share_of(0.95) == "0.950"
    assert share_of(0.95, (0.9, 0.9876)) == "0.950 (0.900 to 0.988)"
    assert share_of(None, None) == "-"
