"""edge-melanoma evaluate: metrics of a model on its test side or on another data set."""

from pathlib import Path
from typing import Annotated

from typer import Option

from edge_melanoma.commands import options
from edge_melanoma.data.sets import name_external_sets
from edge_melanoma.machine.command_line import OUTPUT
from edge_melanoma.machine.files import write_result
from edge_melanoma.machine.terminal import (
    PlainConsole,
    TerminalReporter,
    next_lines,
    print_lines,
)
from edge_melanoma.runtime.names import Engine


def command(
    model: options.ModelArgument = None,
    data: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            rich_help_panel=options.DATA,
            show_default="the run's test side",
            help="Another data set (external validation).",
        ),
    ] = None,
    labels: options.LabelTables = None,
    malignant: options.MalignantClasses = None,
    group: options.GroupBy = None,
    threshold: options.Threshold = None,
    input_range: options.InputRange = None,
    malignant_index: options.MalignantIndex = None,
    logit: options.IsLogit = False,
    external: options.ExternalSets = None,
    interpreter: options.InterpreterOption = None,
    engine: options.EngineOption = Engine.LOCAL,
    workers: options.WorkersOption = None,
    address: options.AddressOption = None,
    out: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            rich_help_panel=OUTPUT,
            help="Write figures (PDF and PNG), scores, subgroups and a paragraph of methods there.",
        ),
    ] = None,
    json: options.JsonFile = None,
) -> None:
    """Measure a model: recall first, each figure with its 95 % interval.

    Examples:
        edge-melanoma evaluate
        edge-melanoma evaluate bundled --data photos --out figures
    """
    ray = options.choose_ray(engine, workers=workers, address=address)
    reading = options.choose_reading(labels, malignant, group, folders=[data], external=external)
    folders = name_external_sets(external or (), reading)
    from edge_melanoma.card.paper import FILES, write_paper
    from edge_melanoma.evaluation.subject import evaluate_subject, open_model
    from edge_melanoma.evaluation.tables import show_evaluation
    from edge_melanoma.runs.folders import refuse_unwritable
    from edge_melanoma.runs.models import find_run
    from edge_melanoma.tflite.ends import choose_ends

    refuse_unwritable(json, *(out / name for name in FILES if out))
    subject = open_model(
        model or find_run(None).folder,
        threshold=threshold,
        interpreter=interpreter,
        ray=ray,
        ends=choose_ends(input_range, malignant_index, logit),
    )
    reporter = TerminalReporter()
    evaluated = evaluate_subject(
        subject, data=data, external=folders, reading=reading, reporter=reporter
    )
    is_told = write_result(json, evaluated.result)
    if not is_told:
        show_evaluation(evaluated.result)
    written = write_paper(out, evaluated, reporter=reporter) if out is not None else []
    others = ("--data", data) if data is not None else ()
    command = ("evaluate", model or subject.place, *others, "--out", "figures")
    lines = next_lines(*written, command=() if out is not None else command)
    print_lines(PlainConsole(stderr=is_told), *lines)
