"""edge-melanoma verify: a run held against the hashes that it has recorded."""

from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edge_melanoma.runs.recorded_files import RunFinding

NAME = "verify"
NOT_AS_RECORDED = 1


def command(
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
