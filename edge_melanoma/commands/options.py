"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.runtime.names import Engine, Runtime

RunArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="[RUN]",
        help="A run folder, or the word bundled for the model in the package; without it, "
        "the newest below runs/.",
    ),
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the result as JSON too.")
]
ExternalSets = Annotated[
    list[str] | None,
    typer.Option(
        "--external",
        metavar="NAME=DIR",
        help="A data set from elsewhere to be measured on too, without copies of images that the "
        "run learned from. Repeat it for several.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace what is already there.")]
Seed = Annotated[int, typer.Option("--seed", help="For everything that is drawn by chance.")]
Deterministic = Annotated[
    bool,
    typer.Option(
        "--deterministic",
        help="The same bytes again on this machine, by TensorFlow's deterministic operators; "
        "recorded in the manifest. Another processor or number of threads gives others.",
    ),
]
InterpreterOption = Annotated[
    Runtime | None,
    typer.Option(
        "--interpreter",
        help="Which TFLite interpreter; without it, the first that runs here.",
    ),
]
EngineOption = Annotated[
    Engine,
    typer.Option(
        "--engine", help="ray: spread over --workers processes, of several machines with --address."
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Processes that Ray starts; 2 if not given."),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        help="The head of a Ray cluster to join, or auto; without it, this machine alone.",
    ),
]
RAY_WORKERS = 2


def check_engine(engine: Engine, *, workers: int | None, address: str | None) -> None:
    """Refuse options that would be without effect.

    Raises:
        EdgeMelanomaError: an option of Ray with the local engine.
    """
    if engine is Engine.RAY:
        return
    for option, value in (("--workers", workers), ("--address", address)):
        if value is not None:
            raise EdgeMelanomaError(
                f"{option} is for --engine ray; give that too, or leave it out."
            )
