"""edge-melanoma import: a trained Keras file becomes a run, and nothing of it is run."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from edge_melanoma.commands.options import Force, InputRange, MalignantIndex, MinRecall, Seed
from edge_melanoma.data.splits import SplitKind
from edge_melanoma.machine.command_line import ADVANCED


def command(
    model: Annotated[Path, Argument(metavar="MODEL", help="A .keras, .h5 or .weights.h5 file.")],
    out: Annotated[Path, Option(metavar="RUN", help="The new run folder.")],
    data: Annotated[
        list[Path] | None,
        Option(
            metavar="DIR",
            help="Pictures for calibration, threshold and test; may be repeated. Without them the "
            "run can be evaluated on other pictures, but not exported.",
        ),
    ] = None,
    input_range: InputRange = None,
    malignant_index: MalignantIndex = None,
    image_size: Annotated[
        int | None,
        Option(
            metavar="N",
            rich_help_panel=ADVANCED,
            show_default="that of the file",
            help="Side in pixels, for files of weights alone.",
        ),
    ] = None,
    check: Annotated[
        list[str] | None,
        Option(
            metavar="IMAGE=SCORE|FILE.csv",
            help="P(malignant) as your notebook gave it, to 1e-4; a table has the columns "
            "file,score. May be repeated.",
        ),
    ] = None,
    split: Annotated[
        SplitKind | None,
        Option(
            rich_help_panel=ADVANCED,
            show_default="folders where test is given, else pooled",
            help="Keep a given test folder, or draw the sides from all pictures.",
        ),
    ] = None,
    seed: Seed = 0,
    min_recall: MinRecall = None,
    force: Force = False,
) -> None:
    """Make a run of a MobileNetV2 that was trained in Keras elsewhere.

    Its layers must be those of MobileNetV2 with a small head; otherwise the first that differs is
    named.

    Examples:
        edge-melanoma import model.keras --out runs/mine --data photos
        edge-melanoma import model.h5 --out runs/mine --check photo.jpg=0.8731
    """
    from edge_melanoma.tflite.ends import choose_ends
    from edge_melanoma.training.imported import import_run

    import_run(
        model,
        choose_ends(input_range, malignant_index),
        out=out,
        image_size=image_size,
        checks=check or (),
        data=data or (),
        split=split,
        seed=seed,
        min_recall=min_recall,
        force=force,
    )
