"""edge-melanoma calibrate, card and verify: a finished run calibrated, described, checked."""

from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_melanoma.commands.options import ExternalSets, Force

if TYPE_CHECKING:
    from edge_melanoma.runs.recorded_files import RunFinding

NOT_AS_RECORDED = 1
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]


def calibrate(
    run: RunFolder,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="The new run folder; runs/<variant>-<n> if not given."
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Write a run again whose last layer is scaled so that validation scores are probabilities.

    What `train --variant best` does at its end, for other recipes. The order of the scores stays,
    the operating point is chosen anew; export and bench the new run afterwards.
    """
    from edge_melanoma.training.calibrate import calibrate_run

    calibrate_run(run, out=out, force=force)


def card(
    run: RunFolder,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="The card; RUN/MODEL_CARD.md if not given."),
    ] = None,
    external: ExternalSets = None,
    cases: Annotated[
        int,
        typer.Option("--cases", min=0, help="Errors on a sheet of the worst; 0 draws none."),
    ] = 12,
    force: Force = False,
) -> None:
    """A Markdown card filled from the run, each part with the CLAIM item that it answers.

    Looks at every picture of the run's test side and of its external sets again: recall and
    specificity of subgroups (age, sex, site, diagnosis where a labels.csv states them, estimated
    skin tone, hair, ruler marks, ink, dark corners, blur) go to subgroups.json, and the worst
    misses and false alarms to failures/ as Grad-CAM sheets. Sets of --external are added to the
    run's evaluation.
    """
    from edge_melanoma.card.card import make_card
    from edge_melanoma.data.sets import name_external_sets

    make_card(run, out=out, external=name_external_sets(external or ()), cases=cases, force=force)


def verify(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or the word bundled.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Check weights, split, evaluation, exports and benches, and say what was changed or is gone.

    Exit code 1: a file was changed, is missing, or is of other weights. A file that no manifest
    knows is told and is no fault. A manifest itself is vouched for by nothing: keep its hash where
    it matters who wrote it.
    """
    from edge_melanoma.machine.terminal import print_lines, results_console
    from edge_melanoma.runs.bundled import bundled_run, is_bundled
    from edge_melanoma.runs.recorded_files import verify_run

    found = verify_run(bundled_run().folder if is_bundled(run) else run)
    if as_json:
        print(dumps(found.as_dict(), indent=2))
    else:
        verdict = "as recorded" if found.is_as_recorded else "NOT as recorded"
        told = f"{run}: {found.checked} files with a recorded sha256, {verdict}."
        print_lines(results_console(width=160), *map(_describe, found.findings), told)
    if not found.is_as_recorded:
        raise typer.Exit(NOT_AS_RECORDED)


def _describe(finding: "RunFinding") -> str:
    if finding.recorded_sha256 is None:
        return f"{finding.state}: {finding.file}, which no manifest knows"
    found = f"is {finding.sha256[:16]}" if finding.sha256 else "is not there"
    return (
        f"{finding.state}: {finding.file} {found}; {finding.recorded_in} has "
        f"{finding.recorded_sha256[:16]}"
    )
