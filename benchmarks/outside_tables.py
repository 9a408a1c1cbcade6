"""External sets of a parity report for a person, and what each measured set is."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from edge_melanoma.benchmarks.parity import ParityReport
from edge_melanoma.dataset_card import describe_cards
from edge_melanoma.evaluation import explain_undefined, format_share

OUTSIDE_COLUMNS = (
    "model",
    "recall",
    "drop",
    "specificity",
    "drop",
    "accuracy",
    "AUC",
    "agreement",
    "lost/gained",
    "recall at own threshold",
    "specificity at own threshold",
)


def outside_terminal(report: ParityReport) -> Iterator[Table]:
    """A table an external set for a terminal."""
    for outside in report.external:
        told = outside.as_dict()
        table = Table(title=escape(describe_outside(told)))
        for number, column in enumerate(OUTSIDE_COLUMNS):
            table.add_column(column, justify="right" if number else "left")
        for cells in outside_rows(told):
            table.add_row(*cells)
        yield table


def describe_outside(outside: Mapping[str, Any]) -> str:
    """What an entry of parity.json's "external" was measured on, in one line."""
    data = outside["dataset"]
    undefined = explain_undefined(benign=data["benign"], malignant=data["malignant"])
    return (
        f"Outside, {data['name']}: {data['images']} images, {data['malignant']} malignant, "
        f"{outside['left_out']} left out as copies" + (f"; {undefined}" if undefined else "")
    )


def describe_sets(report: ParityReport) -> list[str]:
    """The cards of the own and of the external sets, a line each."""
    blocks = [report.dataset, *(outside.as_dict()["dataset"] for outside in report.external)]
    return [line for block in blocks for line in describe_cards(block)]


def outside_rows(outside: Mapping[str, Any]) -> Iterator[list[str]]:
    """Cells of `OUTSIDE_COLUMNS` for an entry of parity.json's "external", the reference first."""
    yield _cells_of(outside["reference"], [""] * 6)
    for model in outside["candidates"]:
        drop, flips, own = model["drop"], model["flips"], model["at_own_threshold"]
        yield _cells_of(
            model,
            [
                format_share(drop["recall"], sign="+"),
                format_share(drop["specificity"], sign="+"),
                f"{model['agreement']:.2%}",
                f"{flips['lost_malignant']}/{flips['gained_malignant']}",
                format_share(own["metrics"]["recall"]) if own else "",
                format_share(own["metrics"]["specificity"]) if own else "",
            ],
        )


def _cells_of(model: Mapping[str, Any], compared: Sequence[str]) -> list[str]:
    metrics = {name: format_share(value) for name, value in model["metrics"].items()}
    recall_drop, specificity_drop, *rest = compared
    return [
        model["mode"],
        metrics["recall"],
        recall_drop,
        metrics["specificity"],
        specificity_drop,
        metrics["accuracy"],
        metrics["auc"],
        *rest,
    ]
