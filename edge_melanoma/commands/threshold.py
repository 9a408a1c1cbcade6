"""edge-melanoma threshold and calibrate: where a run decides, and scores as probabilities."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.table import Table
from typer import Option

from edge_melanoma.commands import options
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import write_result
from edge_melanoma.machine.terminal import (
    TerminalReporter,
    next_lines,
    print_lines,
    print_table,
    results_console,
)

if TYPE_CHECKING:
    from edge_melanoma.evaluation.promises import Demand
    from edge_melanoma.runs.models import TrainedModel

COLUMNS = ("model", "recall", "95 % interval", "specificity", "threshold", "integer")


def command(
    run: options.RunArgument = None,
    min_recall: options.MinRecall = None,
    max_miss: options.MaxMiss = None,
    max_false_alarm: options.MaxFalseAlarm = None,
    confidence: options.Confidence = None,
    save: Annotated[
        bool,
        Option(
            "--save",
            help="Write each export's threshold into its manifest, in place of the one there.",
        ),
    ] = False,
    json: options.JsonFile = None,
) -> None:
    """Find the highest threshold that reaches a recall, for the network and each export.

    The recall is that on validation. Of several clinics the worst one decides, by its melanomas
    alone.

    The threshold of an export is chosen on the file's own scores, and lies between two steps of an
    integer output. An export without a threshold gets one at the run's recall target; one that is
    there is replaced with --save only.

    With --max-miss there are two thresholds, and between them the answer is to see a doctor anyway.
    Lesions are counted, not pictures. A clinic with too few melanomas to promise the share must
    miss none of them; how many more the promise needs is printed.

    Examples:
        edge-melanoma threshold --min-recall 0.97
        edge-melanoma threshold runs/partial-1 --max-miss 0.03 --save
    """
    demand = choose_demand(min_recall, max_miss, max_false_alarm, confidence)
    from edge_melanoma.runs.bundled import bundled_run, find_run_or_bundled, is_bundled
    from edge_melanoma.runs.folders import refuse_unwritable

    refuse_unwritable(json)
    found = bundled_run() if is_bundled(run) and not save else find_run_or_bundled(run)
    result = _choose_points(found, min_recall=min_recall, demand=demand, save=save)
    if not write_result(json, result):
        _show(result)
        more = ("bench", found.folder) if result["exports"] else ("export", found.folder)
        command = ("evaluate", "bundled", "--data", "DIR") if is_bundled(run) else more
        print_lines(results_console(width=130), *next_lines(json, command=command))


def calibrate(
    run: options.RunFolder = None,
    out: Annotated[
        Path | None,
        Option(metavar="DIR", show_default="runs/VARIANT-N", help="The new run folder."),
    ] = None,
    force: options.Force = False,
) -> None:
    """Scale a run's last layer so that its scores are probabilities; writes a new run.

    The recipe `best` ends with this; the others do not. The order of the scores stays, and the
    threshold is chosen again. Export and bench the new run afterwards.

    Examples:
        edge-melanoma calibrate
        edge-melanoma calibrate runs/partial-1 --out runs/partial-calibrated
    """
    from edge_melanoma.training.record import calibrate_run

    calibrate_run(run, out=out, force=force)


def choose_demand(
    min_recall: float | None,
    max_miss: float | None,
    max_false_alarm: float | None,
    confidence: float | None,
) -> "Demand | None":
    """What the options promise; none without --max-miss.

    Raises:
        EdgeMelanomaError: options that exclude each other, or a number outside its range.
    """
    from edge_melanoma.evaluation.promises import Demand

    rest = {"max_false_alarm": max_false_alarm, "confidence": confidence}
    given = {name: value for name, value in rest.items() if value is not None}
    if max_miss is None:
        if given:
            option = f"--{next(iter(given)).replace('_', '-')}"
            raise EdgeMelanomaError(f"{option} is for --max-miss; give both, or leave it out.")
        return None
    if min_recall is not None:
        raise EdgeMelanomaError(
            "--min-recall is for one threshold and --max-miss for two; leave one of them out."
        )
    return Demand(max_miss=max_miss, **given)


def _choose_points(
    run: "TrainedModel", *, min_recall: float | None, demand: "Demand | None", save: bool
) -> dict[str, Any]:
    """The content of `threshold --json`."""
    from edge_melanoma.converters import operating_points
    from edge_melanoma.evaluation.predictions import read_predictions
    from edge_melanoma.evaluation.thresholds import choose_point, describe_rule
    from edge_melanoma.runs.converted import open_converted, open_exports

    validation = read_predictions(run.folder / "predictions_validation.csv")
    point = choose_point(validation, min_recall=min_recall, demand=demand).as_dict()
    scores, exports = operating_points.ValidationScores(run, TerminalReporter()), []
    for model in open_exports(run):
        operating_points.complete_operating_point(run, model, scores)
        found = scores.of(open_converted(model.path))
        if found is None:
            continue
        own = operating_points.derive_operating_point(
            model, found, min_recall=min_recall, demand=demand
        )
        if save:
            operating_points.save_operating_point(run, model, own)
        told = {"mode": model.mode, "file": model.path.name, "operating_point": own.as_dict()}
        exports.append(told)
    return {
        "schema": 1,
        "dataset": {
            "name": run.manifest["dataset"]["name"],
            "side": "validation",
            "images": len(validation.labels),
            "benign": point["benign"],
            "malignant": point["malignant"],
        },
        "operating_point": point,
        "rule": describe_rule(point),
        "exports": exports,
    }


def _show(result: Mapping[str, Any]) -> None:
    data, point = result["dataset"], result["operating_point"]
    title = (
        f"Rule: {result['rule']}; {data['name']}, validation side: "
        f"{data['images']} images, {data['malignant']} malignant"
    )
    if "promise" in point:
        _show_promises(title, result)
        return
    caption = "Malignant: output >= integer. Research only, not a medical device."
    table = Table(title=title, caption=caption)
    for number, column in enumerate(COLUMNS):
        table.add_column(column, justify="right" if number else "left")
    for export in ({"mode": "keras", "operating_point": point}, *result["exports"]):
        own = export["operating_point"]
        table.add_row(export["mode"], *_cells(own))
        for source, found in own["within"].items():
            decides = ", which decides" if source == own["deciding"] else ""
            table.add_row(f"  {source}{decides}", *_cells({**own, **found})[:3])
    print_table(results_console(width=130), table)


def _show_promises(title: str, result: Mapping[str, Any]) -> None:
    """A row a model and clinic: lesions, what of them is answered wrongly, and the bound."""
    caption = (
        "Not flagged below the first threshold, flagged from the second one on, see a doctor "
        "anyway between them. Research only, not a medical device."
    )
    table = Table("model", title=title, caption=caption)
    for column in ("not flagged below", "flagged from", "melanomas missed", "at most"):
        table.add_column(column, justify="right")
    for column in ("more needed", "benign flagged", "at most", "more needed"):
        table.add_column(column, justify="right")
    for export in (
        {"mode": "keras", "operating_point": result["operating_point"]},
        *result["exports"],
    ):
        promise = export["operating_point"]["promise"]
        table.add_row(export["mode"], *(_threshold(promise[end]) for end in ("lower", "upper")))
        for clinic, one in promise["clinics"].items():
            shares = [cell for label in ("melanomas", "benign") for cell in _share(one[label])]
            table.add_row(f"  {clinic or 'all'}", "", "", *shares)
    print_table(results_console(width=140), table)


def _threshold(told: Mapping[str, Any]) -> str:
    integer = "" if told["integer"] is None else f", integer {told['integer']}"
    return f"{told['threshold']:.4f}{integer}"


def _share(told: Mapping[str, Any]) -> tuple[str, str, str]:
    more = f"{told['more_needed']}" if told["more_needed"] else ""
    return f"{told['wrong']} of {told['lesions']}", f"{told['bound']:.4f}", more


def _cells(point: Mapping[str, Any]) -> list[str]:
    low, high = point["recall_interval"]
    integer = point.get("integer")
    return [
        f"{point['recall']:.4f}",
        f"{low:.4f} .. {high:.4f}",
        f"{point['specificity']:.4f}",
        f"{point['threshold']:.6f}",
        "" if integer is None else f"{integer}",
    ]
