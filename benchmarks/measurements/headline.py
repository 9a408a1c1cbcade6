"""The README's first table: some models inside and outside, from what `evaluate --json` wrote.

    python benchmarks/measurements/headline.py FILE... [--readme README.md]

Each file is one model on its own test side and on each set from elsewhere, at the operating point
that was chosen on validation.
"""

import argparse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from readme import update_readme

from edge_melanoma.data.cards import describe_cards
from edge_melanoma.evaluation.evaluation import WITHOUT_LEAKED, format_share
from edge_melanoma.machine.files import read_json
from edge_melanoma.machine.markdown import table_of

COLUMNS = (
    "model",
    "measured on",
    "images (malignant)",
    "recall (95 % interval)",
    "specificity",
    "accuracy",
    "AUC (95 % interval)",
    "ECE",
    "threshold",
    "sha256",
)

MADE_BY = (
    "Each at its operating point, chosen on validation. Made by `edge-melanoma evaluate MODEL "
    "--external NAME=DIR --json FILE` for each model and "
    "`python benchmarks/measurements/headline.py FILE... --readme README.md`."
)


def main() -> None:
    """Print the table, and put it between the markers of the README that is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--readme", type=Path, help="Its part between the headline markers.")
    options = parser.parse_args()
    lines = render_headline([read_json(path) for path in options.files])
    print("\n".join(lines))
    if options.readme:
        update_readme(options.readme, name="headline", lines=lines)


def render_headline(evaluations: Iterable[Mapping[str, Any]]) -> list[str]:
    """A row a model and data set, inside first, as lines of Markdown; then what each set is."""
    told = list(evaluations)
    rows = [row for evaluation in told for row in _rows(evaluation)]
    outside = {name: found for one in told for name, found in one["external"].items()}
    cards = [line for found in outside.values() for line in describe_cards(found["dataset"])]
    return [*table_of(COLUMNS, rows), "", *(f"- {line}" for line in cards), "", MADE_BY]


def _rows(evaluation: Mapping[str, Any]) -> Iterator[list[str]]:
    model, dataset = evaluation["model"], evaluation["dataset"]
    yield _row(model, f"inside: {dataset['name']}", dataset, evaluation)
    if WITHOUT_LEAKED in evaluation:
        rest = evaluation[WITHOUT_LEAKED]
        yield _row(model, "inside, without leaked copies", rest, rest)
    for name, found in evaluation["external"].items():
        yield _row(model, f"outside: {name}", found["dataset"], found)


def _row(
    model: Mapping[str, Any],
    place: str,
    counts: Mapping[str, Any],
    measured: Mapping[str, Any],
) -> list[str]:
    metrics, intervals = measured["metrics"], measured["intervals"]
    calibration = measured.get("calibration")
    return [
        f"{model.get('variant', model['file'])} ({model['mode']})",
        place,
        f"{counts['images']} ({counts['malignant']})",
        _with_bounds(metrics["recall"], intervals.get("recall")),
        format_share(metrics["specificity"]),
        format_share(metrics["accuracy"]),
        _with_bounds(metrics["auc"], intervals.get("auc")),
        f"{calibration['ece']:.4f}" if calibration else "",
        f"{measured['threshold']:.4f}",
        f"`{model['sha256'][:12]}`",
    ]


def _with_bounds(value: float | None, bounds: tuple[float, float] | None) -> str:
    shown = format_share(value)
    return (
        shown
        if value is None or bounds is None
        else f"{shown} ({bounds[0]:.3f} .. {bounds[1]:.3f})"
    )


if __name__ == "__main__":
    main()
