"""External sets of a parity report for a person, and what each measured set is."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edge_melanoma.benchmarks.parity.parity import ParityReport
from edge_melanoma.benchmarks.sections import ReportSection
from edge_melanoma.data.dataset_card import describe_cards
from edge_melanoma.evaluation.evaluation import explain_undefined, format_share

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


def outside_sections(parity: Mapping[str, Any]) -> Iterator[ReportSection]:
    """A table an external set, from what parity.json holds."""
    for outside in parity.get("external", ()):
        yield ReportSection(
            title=describe_outside(outside),
            columns=OUTSIDE_COLUMNS,
            rows=tuple(tuple(cells) for cells in outside_rows(outside)),
            note="At the reference's operating point, but for the last two columns.",
        )


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
