"""The README's first table, from evaluations written by hand."""

from typing import Any

from headline import COLUMNS, MADE_BY, render_headline


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
    assert lines[0] == f"| {' | '.join(COLUMNS)} |"
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
