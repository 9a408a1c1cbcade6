"""edge-melanoma commission, and drift: a model at a clinic, when it begins and later."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from rich.table import Table
from typer import Argument, Exit, Option

from edge_melanoma.commands import options
from edge_melanoma.commands.threshold import choose_demand
from edge_melanoma.machine.files import write_result
from edge_melanoma.machine.terminal import (
    TerminalReporter,
    next_lines,
    print_lines,
    print_table,
    results_console,
)

DRIFT = 1


def command(
    data: Annotated[
        Path, Option(metavar="DIR", help="The clinic's labelled pictures, of both classes.")
    ],
    model: options.ModelArgument = None,
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
    """Fit a model's threshold and probabilities to a clinic; the weights stay as they are.

    Threshold and correction are chosen on all pictures of the clinic that the model has not learned
    from. To judge them, its lesions are halved, and each half is measured with what the other half
    chose. Of a run, the int8 file is commissioned if there is one.

    Examples:
        edge-melanoma commission bundled --data clinic
        edge-melanoma commission bundled --data clinic --max-miss 0.03 --out bundle
    """
    demand = choose_demand(min_recall, max_miss, max_false_alarm, confidence)
    reading = options.choose_reading(labels, malignant, group, folders=[data])
    from edge_melanoma.converters.phone import commissioned
    from edge_melanoma.converters.phone.bundle import refuse_full_folder
    from edge_melanoma.evaluation.commission import commission
    from edge_melanoma.evaluation.subject import open_model, score_clinic
    from edge_melanoma.runs.folders import refuse_unwritable
    from edge_melanoma.runs.models import find_run

    refuse_unwritable(json)
    place = model or find_run(None).folder
    subject = open_model(place, interpreter=interpreter)
    file = commissioned.phone_file_of(place, subject)
    if file != place:
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
        command = ("android", "--verify", out) if out else ("commission", place, "--data", data)
        asked = () if out else ("--out", "bundle")
        lines = next_lines(json, out, command=(*command, *asked))
        print_lines(results_console(width=140), *lines)


def drift(
    counts: Annotated[
        Path,
        Argument(metavar="COUNTS.json", help="What an app, the page or predict --counts wrote."),
    ],
    model: options.ModelArgument = None,
    json: options.JsonFile = None,
) -> None:
    """Tell from counts alone whether an app's pictures still resemble those of validation.

    They are compared with all pictures of validation and with each clinic's. Exit code 1: they
    resemble none of these. Fewer than 100 pictures are too few to tell. Counts of the model in the
    package need no RUN_OR_MODEL.

    Examples:
        edge-melanoma drift counts.json bundled
        edge-melanoma drift counts.json runs/partial-1 --json drift.json
    """
    from edge_melanoma.converters.phone.commissioned import phone_file_of
    from edge_melanoma.evaluation.drift import compare_counts
    from edge_melanoma.evaluation.subject import open_model
    from edge_melanoma.runs.folders import refuse_unwritable
    from edge_melanoma.tflite.counts import read_counts

    refuse_unwritable(json)
    place = model or _model_that_counted(counts)
    subject = open_model(phone_file_of(place, open_model(place)))
    told = read_counts(counts, subject.counts)
    found = compare_counts(told["counts"], subject.counts)
    if not write_result(json, {"schema": 1, **subject.facts, **found}):
        _show_drift(found)
    if found["drift"]:
        raise Exit(DRIFT)


def _model_that_counted(counts: Path) -> Path:
    """The model in the package where the counts are of it, else the newest run."""
    from edge_melanoma.evaluation.subject import open_model
    from edge_melanoma.machine.schemas import read_json
    from edge_melanoma.runs.bundled import WORD
    from edge_melanoma.runs.models import find_run
    from edge_melanoma.tflite.counts import CountsFile

    reference = read_json(counts, CountsFile)["reference"]
    is_bundled = reference == open_model(WORD).counts["reference"]
    return WORD if is_bundled else find_run(None).folder


def _show_drift(found: Mapping[str, Any]) -> None:
    nearest = found["nearest"]
    table = Table("measure", title=f"{found['judged']} judged pictures against {nearest}")
    for column in ("how often more", "standard errors"):
        table.add_column(column, justify="right")
    for name, one in found["groups"][nearest]["measures"].items():
        table.add_row(name, f"{one['more']:.3f}", f"{one['errors']:+.1f}")
    console = results_console(width=140)
    print_table(console, table)
    distance = f"{nearest}, {found['groups'][nearest]['distance']:.2f} of the limit away"
    changed = ", ".join(found["changed"])
    print_lines(
        console,
        f"Drift, in {changed}: the nearest pictures of validation are {distance}"
        if found["drift"]
        else f"No drift: the pictures are like {distance}",
        "Research only, not a medical device.",
    )


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
    yield "Research only, not a medical device."
