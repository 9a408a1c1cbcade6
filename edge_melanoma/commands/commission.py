"""edge-melanoma commission: a clinic's own operating point, correction, and bundle."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from rich.table import Table
from typer import Argument, Option

from edge_melanoma.commands import options
from edge_melanoma.commands.threshold import choose_demand
from edge_melanoma.machine.files import write_result
from edge_melanoma.machine.terminal import (
    TerminalReporter,
    print_lines,
    print_table,
    results_console,
)


def command(
    model: Annotated[
        Path,
        Argument(metavar="RUN_OR_MODEL", help="A run folder, a .tflite file, or the word bundled."),
    ],
    data: Annotated[
        Path, Option(metavar="CLINIC_DIR", help="The clinic's labelled pictures, of both classes.")
    ],
    labels: options.LabelTables = None,
    malignant: options.MalignantClasses = None,
    group: options.GroupBy = None,
    min_recall: options.MinRecall = None,
    max_miss: options.MaxMiss = None,
    max_false_alarm: options.MaxFalseAlarm = None,
    confidence: options.Confidence = None,
    out: Annotated[
        Path | None,
        Option(metavar="DIR", help="Write the bundle for apps, with the clinic's numbers, there."),
    ] = None,
    interpreter: options.InterpreterOption = None,
    force: options.Force = False,
    json: options.JsonFile = None,
) -> None:
    """Fit a model to a clinic without touching a weight: where it decides, what a score means.

    Point and correction are chosen on all pictures of the clinic from which the model has not
    learned. What they are worth is judged by halves of its lesions, each by what the other half
    chose. Of a run its int8 file is commissioned, where it has one.
    """
    demand = choose_demand(min_recall, max_miss, max_false_alarm, confidence)
    reading = options.choose_reading(labels, malignant, group, folders=[data])
    from edge_melanoma.converters.phone import commissioned
    from edge_melanoma.converters.phone.bundle import refuse_full_folder
    from edge_melanoma.evaluation.commission import commission
    from edge_melanoma.evaluation.subject import open_model, score_clinic
    from edge_melanoma.runs.folders import refuse_unwritable

    refuse_unwritable(json)
    subject = open_model(model, interpreter=interpreter)
    file = commissioned.phone_file_of(model, subject)
    if file != model:
        subject = open_model(file, interpreter=interpreter)
    if out is not None:
        commissioned.refuse_without_bundle(subject)
        refuse_full_folder(out, what="bundle", force=force)
    clinic, scores = score_clinic(subject, data, reading=reading, reporter=TerminalReporter())
    found = commission(
        scores, clinic.records, shipped=subject.threshold, min_recall=min_recall, demand=demand
    )
    bundle = commissioned.write_commissioned(subject, found, clinic.dataset, out) if out else None
    told = {
        "schema": 1,
        **subject.facts,
        **clinic.as_dict(),
        "operating_point": found.point.as_dict(),
        **found.told,
        "bundle": bundle,
    }
    if not write_result(json, told):
        _show(told)


def _show(told: Mapping[str, Any]) -> None:
    data = told["dataset"]
    title = (
        f"{told['model']['file']} at {data['name']}: {data['images']} images, "
        f"{data['malignant']} malignant"
    )
    table = Table("clinic's pictures", title=title)
    for column in ("threshold", "recall", "95 % interval", "specificity", "95 % interval"):
        table.add_column(column, justify="right")
    judged = told["judged"]
    table.add_row("as shipped", *_cells(told["shipped"]))
    table.add_row("chosen here", *_cells(told["local"]))
    shares = {name: judged[name] for name in ("recall", "specificity")}
    bounds = {name: judged[f"{name}_interval"] for name in shares}
    other = {"threshold": None, "metrics": shares, "intervals": bounds}
    table.add_row("judged by the other half", *_cells(other))
    for name, one in told["within_source"].items():
        for where, found in one.items():
            if found["recall"] is not None and found["specificity"] is not None:
                table.add_row(f"  {name}, {where}", *_cells(_of_source(found)))
    console = results_console(width=140)
    print_table(console, table)
    print_lines(console, *_lines(told))


def _of_source(found: Mapping[str, Any]) -> dict[str, Any]:
    names = ("recall", "specificity")
    return {
        "threshold": None,
        "metrics": {name: found[name] for name in names},
        "intervals": {name: found[f"{name}_interval"] for name in names},
    }


def _cells(found: Mapping[str, Any]) -> Iterator[str]:
    threshold = found["threshold"]
    yield "" if threshold is None else f"{threshold:.4f}"
    for name in ("recall", "specificity"):
        low, high = found["intervals"][name]
        yield f"{found['metrics'][name]:.4f}"
        yield f"{low:.4f} .. {high:.4f}"


def _lines(told: Mapping[str, Any]) -> Iterator[str]:
    correction, judged, promise = told["correction"], told["judged"], told["promise"]
    before, after = told["shipped"]["calibration"], judged["calibration"]
    yield (
        f"Scores as probabilities: temperature {correction['temperature']:.3f}, offset "
        f"{correction['offset']:+.3f}; calibration error {before['ece']:.4f} as shipped, "
        f"{after['ece']:.4f} judged by the other half ({after['ece_if_perfect']:.4f} by chance)"
    )
    share = promise["melanomas"]
    promised = f"at most {100 * promise['max_miss']:g} % of melanomas missed"
    sure = f"{100 * promise['confidence']:g} % confidence"
    if share["promised"]:
        yield f"{share['lesions']} melanomas, {share['wrong']} missed: {promised}, with {sure}"
    else:
        yield (
            f"{share['lesions']} melanomas, {share['wrong']} missed: at most "
            f"{100 * share['bound']:.1f} % with {sure}; you need {share['more_needed']} more "
            f"melanomas, none of them missed, to promise {promised}"
        )
    if told["bundle"]:
        yield f"{told['bundle']['bundle']}: {told['bundle']['files']} files"
    yield "Research only, not a medical device."
