"""edge-melanoma evaluate: metrics of a model on its test side or on another data set."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from edge_melanoma.commands import options
from edge_melanoma.data.sets import name_external_sets
from edge_melanoma.machine.files import write_result
from edge_melanoma.machine.terminal import TerminalReporter
from edge_melanoma.runtime.names import Engine


def command(
    model: Annotated[
        Path,
        Argument(metavar="RUN_OR_MODEL", help="A run folder, a .tflite file, or the word bundled."),
    ],
    data: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            help="Another data set (external validation); without it, the run's own test side.",
        ),
    ] = None,
    labels: options.LabelTables = None,
    malignant: options.MalignantClasses = None,
    group: options.GroupBy = None,
    threshold: Annotated[
        float | None, Option(min=0.0, max=1.0, help="Instead of the model's own.")
    ] = None,
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
            help="Write figures (PDF and PNG), scores, subgroups and a paragraph of methods there.",
        ),
    ] = None,
    json: options.JsonFile = None,
) -> None:
    """Recall first, each metric with its 95 % interval and what it was measured on."""
    ray = options.choose_ray(engine, workers=workers, address=address)
    reading = options.choose_reading(labels, malignant, group, folders=[data], external=external)
    folders = name_external_sets(external or (), reading)
    from edge_melanoma.card.paper import FILES, write_paper
    from edge_melanoma.evaluation.subject import evaluate_subject, open_model
    from edge_melanoma.evaluation.tables import show_evaluation
    from edge_melanoma.runs.folders import refuse_unwritable
    from edge_melanoma.tflite.ends import choose_ends

    refuse_unwritable(json, *(out / name for name in FILES if out))
    subject = open_model(
        model,
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
    if out is not None:
        for path in write_paper(out, evaluated, reporter=reporter):
            typer.echo(str(path), err=is_told)
