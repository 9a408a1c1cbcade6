"""edge-melanoma card: the model card of a run, and whom its model fails."""

from pathlib import Path
from typing import Annotated

from typer import Option

from edge_melanoma.commands import options


def command(
    run: options.RunFolder = None,
    out: Annotated[
        Path | None,
        Option(metavar="FILE", show_default="RUN/MODEL_CARD.md", help="Where it is written."),
    ] = None,
    external: options.ExternalSets = None,
    labels: options.LabelTables = None,
    malignant: options.MalignantClasses = None,
    group: options.GroupBy = None,
    cases: Annotated[
        int, Option(min=0, help="Errors on each sheet of the worst ones; 0 draws none.")
    ] = 12,
    force: options.Force = False,
) -> None:
    """Write a model card in Markdown that names the items of the CLAIM checklist it answers.

    Looks at every picture of the run's test side and of its external sets again: recall and
    specificity of subgroups (age, sex, site, diagnosis where a labels.csv states them, estimated
    skin tone, hair, ruler marks, ink, dark corners, blur) go to subgroups.json, and the worst
    misses and false alarms to failures/ as Grad-CAM sheets. Sets of --external are added to the
    run's evaluation.

    Examples:
        edge-melanoma card
        edge-melanoma card runs/best-1 --external ph2=photos/ph2 --cases 24
    """
    from edge_melanoma.card.card import make_card
    from edge_melanoma.data.sets import name_external_sets

    reading = options.choose_reading(labels, malignant, group, folders=[], external=external)
    make_card(
        run,
        out=out,
        external=name_external_sets(external or (), reading),
        reading=reading,
        cases=cases,
        force=force,
    )
