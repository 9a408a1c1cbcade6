"""edge-melanoma evaluate: metrics of a model on its test side or on another data set."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from edge_melanoma.commands import options
from edge_melanoma.data.sets import name_external_sets
from edge_melanoma.machine.files import write_json
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
    threshold: Annotated[
        float | None, Option(min=0.0, max=1.0, help="Instead of the model's own.")
    ] = None,
    external: options.ExternalSets = None,
    interpreter: options.InterpreterOption = None,
    engine: options.EngineOption = Engine.LOCAL,
    workers: options.WorkersOption = None,
    address: options.AddressOption = None,
    json: options.JsonFile = None,
) -> None:
    """Recall first, each metric with its 95 % interval and what it was measured on."""
    ray = options.choose_ray(engine, workers=workers, address=address)
    folders = name_external_sets(external or ())
    from edge_melanoma.evaluation.subject import evaluate_subject, open_model
    from edge_melanoma.evaluation.tables import show_evaluation
    from edge_melanoma.runs.folders import refuse_unwritable

    refuse_unwritable(json)
    subject = open_model(model, threshold=threshold, interpreter=interpreter, ray=ray)
    result = evaluate_subject(subject, data=data, external=folders, reporter=TerminalReporter())
    if json is not None:
        write_json(json, result)
    show_evaluation(result)
