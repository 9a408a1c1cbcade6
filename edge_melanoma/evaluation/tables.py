"""The tables that end an `evaluate` and a training: recall first, and below it what each set is."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table

from edge_melanoma.data.cards import describe_cards
from edge_melanoma.data.clinics import LEAST_JUDGED
from edge_melanoma.evaluation.evaluation import (
    WITHOUT_LEAKED,
    explain_undefined,
    format_share,
)
from edge_melanoma.evaluation.promises import ANSWERS
from edge_melanoma.evaluation.reliability import describe_reliability
from edge_melanoma.evaluation.risk_coverage import HEADER, risk_cells
from edge_melanoma.machine.markdown import DASH
from edge_melanoma.machine.terminal import (
    next_lines,
    print_lines,
    print_table,
    results_console,
)
from edge_melanoma.runs.models import HISTORY, TrainedModel

WIDTH = 140
NARROW = ("recall", "specificity", "accuracy", "auc")
"""What fits a terminal of 80 columns; the others are in evaluation.json."""
ANSWER_WORDS = {
    "not_flagged": "not flagged",
    "refer": "see a doctor anyway",
    "flagged": "flagged",
}


def show_evaluation(result: Mapping[str, Any]) -> None:
    """The own or given set, that without leaked copies where it has such, then each from outside.

    `result` is what `evaluate --json` writes.
    """
    console = results_console(width=WIDTH)
    data = result["dataset"]

    def show(place: str, counts: Mapping[str, Any], measured: Mapping[str, Any]) -> None:
        model = f"{result['model']['file']} ({result['model']['mode']})"
        print_lines(
            console,
            f"{model} {place}: {counts['images']} images, {counts['malignant']} malignant; "
            f"threshold {measured['threshold']:.4f} from {result['threshold_source']}",
        )
        for table in tables_within(measured):
            print_table(console, table)
        print_lines(console, *describe_sources(measured))
        print_table(console, _table_of(measured))
        for table in _tables_of_risk(measured):
            print_table(console, table)
        confusion = measured["confusion"].items()
        shown = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in confusion)
        print_lines(console, shown)

    show(f"on {data['name']}", data, result)
    if WITHOUT_LEAKED in result:
        rest = result[WITHOUT_LEAKED]
        show(f"on {data['name']}, without leaked copies", rest, rest)
    print_lines(console, describe_reliability(result["calibration"]), *describe_cards(data))
    for name, external in result["external"].items():
        show(f"outside, on {name}", external["dataset"], external)
        outside = describe_cards(external["dataset"])
        print_lines(console, describe_external(name, external), *outside)


def tables_within(measured: Mapping[str, Any]) -> list[Table]:
    """How each source fares, and melanomas of one against benign lesions of another.

    Nothing where there is one source alone.
    """
    sources = measured.get("within_source", {})
    if len(sources) < 2:
        return []
    inside = Table("within source", title="Melanomas against benign lesions of the same source")
    for column in ("recall", "specificity", "AUC (95 %)", "malignant / benign"):
        inside.add_column(column, justify="right")
    for name, one in sources.items():
        shares = [_short(one[key]) for key in ("recall", "specificity")]
        area = _short(one["auc"], one["interval"])
        mark = "" if one["judged"] else " *"
        inside.add_row(name + mark, *shares, area, f"{one['malignant']}/{one['benign']}")
    if measured["macro_auc"] is not None:
        means = [_short(measured[f"macro_{key}"]) for key in ("recall", "specificity")]
        area = _short(measured["macro_auc"], measured["macro_auc_interval"])
        inside.add_row("mean of sources", *means, area, "")
    if not all(one["judged"] for one in sources.values()):
        inside.caption = f"* fewer than {LEAST_JUDGED} of a class: not in the mean"
    matrix = measured["source_matrix"]
    across = Table("AUC of melanomas of", title="... against benign lesions of each source")
    benign = list(dict.fromkeys(name for row in matrix.values() for name in row))
    for name in benign:
        across.add_column(name, justify="right")
    for name, row in matrix.items():
        across.add_row(name, *(f"{row[other]:.3f}" for other in benign))
    return [inside, across] if matrix else [inside]


def _short(value: float | None, interval: Sequence[float] | None = None) -> str:
    """A share in a narrow column, with its interval where there is one."""
    bounds = f" ({interval[0]:.3f}..{interval[1]:.3f})" if interval else ""
    return DASH if value is None else f"{value:.3f}{bounds}"


def describe_sources(measured: Mapping[str, Any]) -> list[str]:
    """What to think of figures over several sources, a line each."""
    sources = measured.get("within_source", {})
    lines = []
    if len(sources) > 1 and measured["macro_auc"] is None:
        lines.append(
            "No source has enough of both classes: all of these figures compare across sources, "
            "and may tell clinics instead of lesions."
        )
    elif len(sources) > 1:
        lines.append("The AUC over all counts pairs across sources too: it may tell clinics.")
    if keratosis := measured.get("melanoma_against_keratosis"):
        lines.append(
            f"Melanomas against keratoses of the same source: AUC {keratosis['auc']:.4f} "
            f"({keratosis['malignant']} against {keratosis['keratoses']})."
        )
    return lines


def _table_of(measured: Mapping[str, Any]) -> Table:
    caption = "Research only, not a medical device."
    table = Table("metric", "value", "95 % interval", caption=caption)
    for name, value in measured["metrics"].items():
        bounds = measured["intervals"].get(name)
        interval = f"{bounds[0]:.4f} .. {bounds[1]:.4f}" if bounds else DASH
        table.add_row(name, format_share(value), interval)
    return table


def _tables_of_risk(measured: Mapping[str, Any]) -> Iterator[Table]:
    """What is wrong if the least sure answers are not given; and three answers, where there are."""
    if risk := measured.get("risk_coverage"):
        table = Table(title=f"Risk over coverage at the threshold {risk['threshold']:.4f}")
        for column in HEADER:
            table.add_column(column, justify="right")
        for row in risk["rows"]:
            table.add_row(*risk_cells(row))
        yield table
    if found := measured.get("decisions"):
        table = Table(
            "pictures", *(ANSWER_WORDS[name] for name in ANSWERS), title=describe_answers(found)
        )
        for label, counts in found["answers"].items():
            table.add_row(label, *(str(counts[name]) for name in ANSWERS))
        yield table


def describe_answers(found: Mapping[str, Any]) -> str:
    """What is left of a promise on other pictures: part of `evaluate`'s tables."""
    pooled = found["pooled"]["melanomas"]
    answered = f"Three answers: {found['answered']:.1%} answered"
    if not pooled["lesions"]:
        return answered
    return (
        f"{answered}; {pooled['wrong_share']:.1%} of {pooled['lesions']} melanomas not flagged, "
        f"promised {found['max_miss']:.1%}, which {pooled['broken']:.1%} of resamplings break"
    )


def print_training_table(runs: Sequence[tuple[TrainedModel, dict[str, Any]]]) -> None:
    """Print one row a run, side and threshold to stdout; `runs` pairs each with its evaluation.

    Of several sources, how each run does within them stands above that. Data sets from elsewhere
    stand below the test side. Under the table: what each set is, what did not hold, where the runs
    are and what to do with them.
    """
    dataset = runs[0][1]["dataset"]
    title = f"{dataset['name']}: {dataset['images']} images, {dataset['malignant']} malignant"
    caption = "Operating point: chosen on validation. Research only, not a medical device."
    table = Table("side", "threshold", title=title, caption=caption)
    for column in NARROW:
        table.add_column(column, justify="right")
    for run, evaluation in runs:
        for row in _rows_of(run, evaluation, named=len(runs) > 1):
            table.add_row(*row)
        table.add_section()
    console = results_console(width=WIDTH)
    for run, evaluation in runs:
        for inside in tables_within(evaluation["sides"]["test"]):
            inside.title = f"{run.variant}: {inside.title}"
            print_table(console, inside)
    print_table(console, table)
    lines = [line for _, evaluation in runs for line in describe_measured_sets(evaluation)]
    lines += describe_sources(runs[0][1]["sides"]["test"])
    for run, evaluation in runs:
        lines += describe_missed_aims(run, evaluation)
    last = runs[-1][0].folder
    command = ("export", last, "--quantize", "int8")
    folders = (run.folder for run, _ in runs)
    print_lines(console, *dict.fromkeys(lines), *next_lines(*folders, command=command, word="Run"))


def _rows_of(run: TrainedModel, evaluation: dict[str, Any], *, named: bool) -> Iterator[list[str]]:
    for name, measured in _measured_sets(evaluation):
        side = f"{run.variant}, {name}" if named else name
        for point in ("at_half", "at_operating_point"):
            threshold, metrics = measured[point]["threshold"], measured[point]["metrics"]
            yield [side, f"{threshold:.3f}", *(_short(metrics[metric]) for metric in NARROW)]


def describe_missed_aims(run: TrainedModel, evaluation: Mapping[str, Any]) -> list[str]:
    """What the training was to reach and did not, a line each."""
    point, lines = run.manifest["operating_point"], []
    test = evaluation["sides"]["test"]["at_operating_point"]
    recall, wanted = test["metrics"]["recall"], point.get("min_recall")
    if wanted is not None and recall is not None and recall < wanted:
        low, high = test["intervals"]["recall"]
        lines.append(
            f"Test recall {recall:.3f} ({low:.3f} to {high:.3f}): the {wanted:g} chosen on "
            f"{point['malignant']} validation melanomas did not hold."
        )
    bound = point.get("min_recall_bound")
    for name in point.get("within", {}) if bound else ():
        found = evaluation["sides"]["test"]["within_source"].get(name, {}).get("recall")
        if found is not None and found < bound:
            lines.append(
                f"Test recall of {name} {found:.3f}: the lower bound of {bound:g} chosen on its "
                f"validation melanomas did not hold."
            )
    path = run.folder / HISTORY
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    epochs = list(csv.DictReader(text.splitlines()))
    last = [row for row in epochs if row["stage"] == epochs[-1]["stage"]]
    losses = [float(row["val_loss"]) for row in last]
    if losses and losses[-1] > losses[0]:
        best = losses.index(min(losses)) + 1
        lines.append(
            f"Validation loss rose from {losses[0]:.3f} to {losses[-1]:.3f} in the {len(losses)} "
            f"epochs of the last stage; it was least after epoch {best}."
        )
    return lines


def _measured_sets(evaluation: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    inside = evaluation["sides"]
    yield "test", inside["test"]
    if WITHOUT_LEAKED in inside:
        yield "test without leaked copies", inside[WITHOUT_LEAKED]
    for name, external in evaluation.get("external", {}).items():
        yield f"outside: {name}", external
    yield "train", inside["train"]


def describe_measured_sets(evaluation: Mapping[str, Any]) -> list[str]:
    """Cards and counts of all sets of an evaluation.json, a line each."""
    lines = describe_cards(evaluation["dataset"])
    if WITHOUT_LEAKED in evaluation["sides"]:
        test, rest = (evaluation["sides"][side]["images"] for side in ("test", WITHOUT_LEAKED))
        lines.append(
            f"Leaked copies: {test - rest} of {test} test images have copies in the given "
            f"training part, which were left out of training."
        )
    for name, external in evaluation.get("external", {}).items():
        lines += [describe_external(name, external), *describe_cards(external["dataset"])]
    return lines


def describe_external(name: str, external: Mapping[str, Any]) -> str:
    """Counts of a set from elsewhere, what was left out of it and which metrics it lacks."""
    data = external["dataset"]
    undefined = explain_undefined(benign=data["benign"], malignant=data["malignant"])
    return (
        f"Outside, {name}: {data['images']} images, {data['malignant']} malignant; "
        f"{external['left_out']} left out as copies of images that were learned from, compared by "
        f"{external['compared_by']}" + (f"; {undefined}" if undefined else "")
    )
