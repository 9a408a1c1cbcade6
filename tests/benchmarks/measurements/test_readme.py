"""Generated tables replace what stands between their markers, and only that."""

from pathlib import Path

import pytest
from readme import update_readme

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.markdown import insert_between

README = """\
# Title
<!-- results: begin -->
old figures
<!-- results: end -->
After.
"""


def test_a_table_replaces_what_stood_between_its_markers(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(README)
    update_readme(path, name="results", lines=["new", "figures"])
    assert path.read_text() == (
        "# Title\n<!-- results: begin -->\nnew\nfigures\n<!-- results: end -->\nAfter.\n"
    )


def test_inserting_the_same_table_again_changes_nothing() -> None:
    once = insert_between(README, name="results", text="new figures\n")
    assert insert_between(once, name="results", text="new figures\n") == once


@pytest.mark.parametrize("readme", ["No markers.\n", README.replace("<!-- results: end -->", "")])
def test_a_readme_without_both_markers_is_left_alone(readme: str) -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        insert_between(readme, name="results", text="new figures\n")
    assert str(caught.value) == (
        "The README lacks the line <!-- results: begin --> or after it <!-- results: end -->."
    )
