"""The README's first table, from evaluations written by hand, and where tables are put."""

from pathlib import Path
from typing import Any

import pytest
from readme import HEADLINE, MADE_BY, render_headline, render_matrix, update_readme

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.markdown import insert_between


def found(*, recall: float, auc: float | None, malignant: int = 40) -> dict[str, Any]:
    """What `evaluate` writes of one source; an area of none is undefined."""
    return {
        "malignant": malignant,
        "benign": 60,
        "judged": True,
        "recall": recall,
        "recall_interval": [0.8, 0.97],
        "specificity": 0.75,
        "specificity_interval": [0.7, 0.8],
        "auc": auc,
        "interval": [0.9, 0.99] if auc else None,
        "calibration_error": 0.0125,
    }


EVALUATION: dict[str, Any] = {
    "model": {"file": "run", "variant": "best", "mode": "keras", "sha256": "ab" * 32},
    "within_source": {
        "north": found(recall=0.925, auc=0.95),
        "south": found(recall=0.9, auc=0.9, malignant=30),
    },
    "macro_recall": 0.9125,
    "macro_specificity": 0.75,
    "macro_auc": 0.925,
    "macro_auc_interval": [0.91, 0.94],
    "external": {
        "there": {
            "dataset": {"name": "there", "images": 70, "malignant": 10, "card": None},
            "within_source": {"there": found(recall=0.8, auc=None, malignant=10)},
        }
    },
}


def test_each_clinic_has_a_row_then_their_mean_then_the_outside() -> None:
    lines = render_headline([EVALUATION])
    assert lines[0] == f"| {' | '.join(head for head, _ in HEADLINE)} |"
    assert [line.split(" | ")[1:4] for line in lines[2:6]] == [
        ["north", "40 / 60", "0.925 (0.800 .. 0.970)"],
        ["south", "30 / 60", "0.900 (0.800 .. 0.970)"],
        ["mean of clinics", "70 / 120", "0.912"],
        ["outside: there", "10 / 60", "0.800 (0.800 .. 0.970)"],
    ]


def test_a_model_is_named_by_recipe_and_kind_and_shown_with_its_hash() -> None:
    cells = render_headline([EVALUATION])[2].strip("| ").split(" | ")
    assert cells[0] == "best (keras)"
    assert cells[5:] == ["0.950 (0.900 .. 0.990)", "0.013", "`abababababab`"]


def test_what_is_undefined_outside_is_said_and_what_a_set_is_stands_below() -> None:
    lines = render_headline([EVALUATION])
    assert " | undefined | " in lines[5]
    assert lines[-1] == MADE_BY
    assert lines[-3] == (
        "- there: no data set card (dataset.toml): source, licence and label definition unknown"
    )


def test_the_matrix_has_a_row_a_source_of_melanomas_and_gaps_where_a_pair_is_not_there() -> None:
    evaluation = {**EVALUATION, "source_matrix": {"north": {"north": 0.95, "south": 0.5}}}
    other = {**EVALUATION, "source_matrix": {"south": {"south": 0.9}}}
    lines = render_matrix([evaluation, other])
    assert lines[2:4] == [
        "| best (keras) | north | 0.950 | 0.500 |",
        "| best (keras) | south |  | 0.900 |",
    ]


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
