"""What `evaluate` prints: a table a data set, recall first, and what each set is."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from edge_melanoma.data.dataset_card import describe_cards
from edge_melanoma.evaluation.evaluation import WITHOUT_LEAKED, format_share
from edge_melanoma.evaluation.reliability import describe_reliability
from edge_melanoma.evaluation.training_table import describe_external
from edge_melanoma.machine.console import results_console


def show_evaluation(result: Mapping[str, Any]) -> None:
    """The own or given set, that without leaked copies where it has such, then each from outside.

    `result` is what `evaluate --json` writes.
    """
    console = results_console(width=140)
    data = result["dataset"]
    source = result["threshold_source"]
    model = f"{result['model']['file']} ({result['model']['mode']})"
    _show_one(console, f"{model} on {data['name']}", data, result, source)
    if WITHOUT_LEAKED in result:
        rest = result[WITHOUT_LEAKED]
        _show_one(console, f"{model} on {data['name']}, without leaked copies", rest, rest, source)
    _say(console, describe_reliability(result["calibration"]))
    for line in describe_cards(data):
        _say(console, line)
    for name, external in result["external"].items():
        outside = external["dataset"]
        _show_one(console, f"{model} outside, on {name}", outside, external, source)
        for line in (describe_external(name, external), *describe_cards(outside)):
            _say(console, line)


def _show_one(
    console: Console,
    title: str,
    counts: Mapping[str, Any],
    measured: Mapping[str, Any],
    source: str,
) -> None:
    _say(
        console,
        f"{title}: {counts['images']} images, {counts['malignant']} malignant; "
        f"threshold {measured['threshold']:.4f} from {source}",
    )
    table = Table(caption="Research only, not a medical device.")
    for column in ("metric", "value", "95 % interval"):
        table.add_column(column)
    for name, value in measured["metrics"].items():
        bounds = measured["intervals"].get(name)
        interval = f"{bounds[0]:.4f} .. {bounds[1]:.4f}" if bounds else "undefined"
        table.add_row(name, format_share(value), interval)
    console.print(table)
    confusion = measured["confusion"].items()
    _say(console, ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in confusion))


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
