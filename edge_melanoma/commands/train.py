"""edge-melanoma train: pictures in, run folders out."""

import inspect
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from edge_melanoma.commands import options
from edge_melanoma.data.sets import name_external_sets
from edge_melanoma.data.splits import SplitKind
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.command_line import ADVANCED, stated_options
from edge_melanoma.runtime.names import Engine, Strategy

if TYPE_CHECKING:
    from edge_melanoma.network.recipes import Variant

ALL = "all"


def complete_variants() -> list[str]:
    """For a shell: the recipes."""
    from edge_melanoma.network.recipes import VARIANTS

    return [*VARIANTS, ALL]


def complete_weights() -> list[str]:
    """For a shell: the words that are no file."""
    from edge_melanoma.network.recipes import NAMED_WEIGHTS

    return sorted(NAMED_WEIGHTS)


def command(
    context: typer.Context,
    data: Annotated[
        list[Path],
        Option(
            metavar="DIR",
            help="A folder with the folders benign and malignant, with these inside train and "
            "test, or with a labels.csv. Repeat it to train on several data sets.",
        ),
    ],
    labels: options.LabelTables = None,
    malignant: options.MalignantClasses = None,
    group: options.GroupBy = None,
    variant: Annotated[
        str,
        Option(
            metavar="NAME",
            autocompletion=complete_variants,
            help="The recipe: frozen (the head alone), partial (then the last 30 layers), "
            "augmented (the same with random flips, turns and zoom), best (every layer, with "
            "random light, colour and frame), compact (two fifths of the weights), scratch (from "
            "random weights); all: the first three, those of the original work.",
        ),
    ] = "partial",
    teacher: Annotated[
        Path | None,
        Option(
            metavar="RUN",
            autocompletion=options.complete_runs,
            rich_help_panel=ADVANCED,
            help="For compact: learn from this run's scores of the training pictures instead of "
            "their labels. It must have the same data, split and seed.",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        Option(
            metavar="NAME|FILE",
            autocompletion=complete_weights,
            show_default="imagenet, or the teacher where one is given",
            help="Where the network starts from: imagenet (fetched once), bundled (the model in "
            "the package), teacher, none, or a file of Keras weights.",
        ),
    ] = None,
    split: Annotated[
        SplitKind | None,
        Option(
            rich_help_panel=options.DATA,
            show_default="folders where validation is given, else pooled",
            help="Draw 70/15/15 from all, or keep the given test and validation folders.",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        Option(min=1, show_default="the recipe's", help="Epochs of every stage of the recipe."),
    ] = None,
    batch_size: Annotated[
        int | None,
        Option(
            min=1,
            rich_help_panel=ADVANCED,
            show_default="16; best: 32",
            help="Pictures per optimizer step.",
        ),
    ] = None,
    seed: options.Seed = 0,
    deterministic: options.Deterministic = False,
    min_recall: options.MinRecall = None,
    out: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            show_default="runs/VARIANT-N",
            help="The run folder; with --variant all, the folder of the run folders.",
        ),
    ] = None,
    cache: Annotated[
        bool,
        Option(
            "--cache/--no-cache",
            rich_help_panel=ADVANCED,
            help="Keep the outputs of the frozen layers on disk, or compute them every time.",
        ),
    ] = True,
    cache_dir: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            rich_help_panel=ADVANCED,
            show_default="the user's cache folder",
            help="Where --cache keeps them.",
        ),
    ] = None,
    resume: Annotated[
        bool, Option("--resume", help="Go on with the unfinished run in --out.")
    ] = False,
    strategy: Annotated[
        Strategy,
        Option(
            rich_help_panel=ADVANCED,
            help="mirrored: share each batch among all GPUs of this machine that "
            "CUDA_VISIBLE_DEVICES names, or among its logical CPUs.",
        ),
    ] = Strategy.NONE,
    tensorboard: Annotated[
        Path | None,
        Option(metavar="DIR", rich_help_panel=ADVANCED, help="Write TensorBoard's logs there."),
    ] = None,
    callback: Annotated[
        list[str] | None,
        Option(
            metavar="MODULE:NAME",
            rich_help_panel=ADVANCED,
            help="A Keras callback that sees every epoch: a class or function without arguments, "
            "or an object, in a module that Python finds or in this folder. May be repeated.",
        ),
    ] = None,
    engine: options.EngineOption = Engine.LOCAL,
    workers: options.WorkersOption = None,
    address: options.AddressOption = None,
    external: options.ExternalSets = None,
    force: options.Force = False,
) -> None:
    """Train one recipe, or the three of the original work, each into a run folder of its own.

    Prints one table: recall first, at threshold 0.5 and at the operating point that was chosen on
    validation, on the test side and on each external set.

    Examples:
        edge-melanoma train --data photos --variant frozen
        edge-melanoma train --config runs/frozen-1/config.toml --out runs/again
    """
    ray = options.choose_ray(engine, workers=workers, address=address)
    local = {
        "--strategy": strategy is not Strategy.NONE,
        "--tensorboard": tensorboard is not None,
        "--callback": bool(callback),
    }
    for option, is_given in local.items():
        if ray and is_given:
            raise EdgeMelanomaError(f"{option} is for --engine local; leave one of the two out.")
    reading = options.choose_reading(labels, malignant, group, folders=data, external=external)
    named = name_external_sets(external or (), reading)
    from edge_melanoma.network.recipes import NAMED_WEIGHTS, TEACHER_WEIGHTS

    if weights is not None and weights not in NAMED_WEIGHTS:
        from edge_melanoma.network.weight_files import read_weights_file

        read_weights_file(Path(weights))
    chosen_variants = _variants_of(variant)
    callbacks = tuple(map(find_callback, callback or ()))
    from edge_melanoma.training.material import Placement, TrainingSettings
    from edge_melanoma.training.session import train_variants

    train_variants(
        data,
        [
            TrainingSettings(
                variant=chosen,
                weights=weights or (TEACHER_WEIGHTS if teacher else "imagenet"),
                seed=seed,
                deterministic=deterministic,
                epochs=epochs,
                batch_size=batch_size,
                use_cache=cache,
            )
            for chosen in chosen_variants
        ],
        reading=reading,
        split=split,
        teacher=teacher,
        min_recall=min_recall,
        out=out,
        cache_folder=cache_dir,
        resume=resume,
        force=force,
        external=named,
        placement=Placement(
            strategy=strategy,
            engine=engine,
            workers=workers or options.RAY_WORKERS,
            address=address,
        ),
        tensorboard=tensorboard,
        callbacks=callbacks,
        options=stated_options(context),
    )


def find_callback(place: str) -> Any:
    """The object that `module:name` means, made where it is a class or a function.

    Raises:
        EdgeMelanomaError: there is no such module or name, it cannot be made, or it is none.
    """
    module, _, name = place.partition(":")
    told = f"--callback {place}"
    if not module or not name:
        raise EdgeMelanomaError(f"{told} names no object; expected MODULE:NAME, as in log:Lines.")
    if "" not in sys.path:
        sys.path.append("")

    try:
        found = getattr(import_module(module), name)
        made = found() if isinstance(found, type) or inspect.isroutine(found) else found
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".rstrip(".")
        raise EdgeMelanomaError(
            f"{told} cannot be used ({reason}); expected a module that Python finds or in this "
            f"folder, and in it a class or function without arguments, or an object."
        ) from error
    if not callable(getattr(made, "set_model", None)):
        raise EdgeMelanomaError(
            f"{told} is {type(made).__name__}, which is no Keras callback; expected a subclass of "
            f"tf_keras.callbacks.Callback."
        )
    return made


def _variants_of(name: str) -> "tuple[Variant, ...]":
    from edge_melanoma.network.recipes import ORIGINAL, VARIANTS, Variant

    if name == ALL:
        return ORIGINAL
    if name not in VARIANTS:
        names = ", ".join([*VARIANTS, ALL])
        raise EdgeMelanomaError(f"--variant {name} is not known; expected one of {names}.")
    return (Variant(name),)
