"""edge-melanoma train: pictures in, run folders out."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from edge_melanoma.commands import options
from edge_melanoma.data.sets import name_external_sets
from edge_melanoma.data.splits import SplitKind
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.network.recipes import (
    NAMED_WEIGHTS,
    ORIGINAL,
    TEACHER_WEIGHTS,
    VARIANTS,
    Variant,
)
from edge_melanoma.runtime.names import Engine, Strategy

ALL = "all"


def command(
    data: Annotated[
        list[Path],
        Option(
            metavar="DIR",
            help="Folders benign and malignant, the same inside train and test, or a labels.csv. "
            "Repeat it to train on several data sets.",
        ),
    ],
    labels: options.LabelTables = None,
    malignant: options.MalignantClasses = None,
    group: options.GroupBy = None,
    variant: Annotated[
        str,
        Option(
            metavar="best|frozen|partial|augmented|scratch|compact|all",
            help="The recipe. all: the three of the original work. "
            "best: every layer, with random light, colour and frame. "
            "compact: two fifths of the weights, with or without --teacher.",
        ),
    ] = Variant.PARTIAL.value,
    teacher: Annotated[
        Path | None,
        Option(
            metavar="RUN",
            help="For compact: a run on the same data, split and seed, whose scores of the "
            "training images are learned instead of the labels.",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        Option(
            metavar="imagenet|bundled|teacher|none|PATH",
            help="Where the network starts from; imagenet, or the teacher where one is given. "
            "bundled: the model in the package.",
        ),
    ] = None,
    split: Annotated[
        SplitKind | None,
        Option(
            help="Draw 70/15/15 from all, or keep the given test and validation folders; without "
            "it, folders where validation is given, else pooled."
        ),
    ] = None,
    epochs: Annotated[
        int | None, Option(min=1, help="Of every stage, instead of the recipe's.")
    ] = None,
    batch_size: Annotated[
        int | None, Option(min=1, help="Instead of the recipe's 16 (best: 32).")
    ] = None,
    seed: options.Seed = 0,
    deterministic: options.Deterministic = False,
    min_recall: options.MinRecall = None,
    out: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            help="The run folder; runs/<variant>-<n> if not given. "
            "With --variant all, the folder of the run folders.",
        ),
    ] = None,
    cache: Annotated[
        bool,
        Option(
            "--cache/--no-cache", help="Keep the frozen part's activations on disk, or compute all."
        ),
    ] = True,
    cache_dir: Annotated[
        Path | None,
        Option(metavar="DIR", help="Where activations are kept; the user's cache folder."),
    ] = None,
    resume: Annotated[
        bool, Option("--resume", help="Go on with the unfinished run in --out.")
    ] = False,
    strategy: Annotated[
        Strategy,
        Option(
            help="mirrored: all GPUs of this machine (CUDA_VISIBLE_DEVICES names them), or its "
            "logical CPUs."
        ),
    ] = Strategy.NONE,
    tensorboard: Annotated[
        Path | None, Option(metavar="DIR", help="Write TensorBoard's logs there too.")
    ] = None,
    engine: options.EngineOption = Engine.LOCAL,
    workers: options.WorkersOption = None,
    address: options.AddressOption = None,
    external: options.ExternalSets = None,
    force: options.Force = False,
) -> None:
    """Train one variant, or the three of the original work, and write a run folder each.

    Prints one table: recall first, at threshold 0.5 and at the operating point that was chosen on
    validation, on the test side and on each external set, beside the original work's figures.
    """
    ray = options.choose_ray(engine, workers=workers, address=address)
    local = {"--strategy": strategy is not Strategy.NONE, "--tensorboard": tensorboard is not None}
    for option, is_given in local.items():
        if ray and is_given:
            raise EdgeMelanomaError(f"{option} is for --engine local; leave one of the two out.")
    reading = options.choose_reading(labels, malignant, group, folders=data, external=external)
    named = name_external_sets(external or (), reading)
    if weights is not None and weights not in NAMED_WEIGHTS:
        from edge_melanoma.network.weight_files import read_weights_file

        read_weights_file(Path(weights))
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
            for chosen in _variants_of(variant)
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
    )


def _variants_of(name: str) -> tuple[Variant, ...]:
    if name == ALL:
        return ORIGINAL
    if name not in VARIANTS:
        names = ", ".join([*VARIANTS, ALL])
        raise typer.BadParameter(f"'{name}' is no variant; expected one of {names}.")
    return (Variant(name),)
