"""The README's first table, from evaluations written by hand, and where tables are put."""

from pathlib import Path
from typing import Any

import pytest
from readme import HEADLINE, MADE_BY, render_headline, update_readme

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.markdown import insert_between


def measured(*, recall: float, auc: float | None, ece: float | None = None) -> dict[str, Any]:
    """What `evaluate` writes of one set; an area of none is undefined."""
    told: dict[str, Any] = {
        "threshold": 0.25,
        "metrics": {"recall": recall, "specificity": 0.75, "accuracy": 0.8, "auc": auc},
        "intervals": {"recall": [0.8, 0.97]} | ({"auc": [0.9, 0.99]} if auc else {}),
    }
    return told | ({"calibration": {"ece": ece}} if ece is not None else {})


def counts(name: str, images: int, malignant: int) -> dict[str, Any]:
    """The part of a data set block that the table shows."""
    return {"name": name, "images": images, "malignant": malignant, "card": None}


EVALUATION: dict[str, Any] = {
    "model": {"file": "run", "variant": "best", "mode": "keras", "sha256": "ab" * 32},
    "dataset": counts("here, test side", 100, 40),
    **measured(recall=0.925, auc=0.95, ece=0.0125),
    "test_without_leaked": {"images": 90, "malignant": 35} | measured(recall=0.9, auc=0.94),
    "external": {"there": {"dataset": counts("there", 20, 10)} | measured(recall=0.8, auc=None)},
}


def test_the_inside_stands_first_then_the_same_without_leaks_then_the_outside() -> None:
    lines = render_headline([EVALUATION])
    assert lines[0] == f"| {' | '.join(head for head, _ in HEADLINE)} |"
    assert [line.split(" | ")[1:4] for line in lines[2:5]] == [
        ["inside: here, test side", "100 (40)", "0.9250 (0.800 .. 0.970)"],
        ["inside, without leaked copies", "90 (35)", "0.9000 (0.800 .. 0.970)"],
        ["outside: there", "20 (10)", "0.8000 (0.800 .. 0.970)"],
    ]


def test_a_model_is_named_by_recipe_and_kind_and_shown_with_its_hash() -> None:
    cells = render_headline([EVALUATION])[2].strip("| ").split(" | ")
    assert cells[0] == "best (keras)"
    assert cells[6:] == ["0.9500 (0.900 .. 0.990)", "0.0125", "0.2500", "`abababababab`"]


def test_what_is_undefined_outside_is_said_and_what_a_set_is_stands_below() -> None:
    lines = render_headline([EVALUATION])
    assert " | undefined | " in lines[4]
    assert lines[-1] == MADE_BY
    assert lines[-3] == (
        "- there: no data set card (dataset.toml): source, licence and label definition unknown"
    )


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
