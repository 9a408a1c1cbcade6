"""edge-melanoma verify: a run held against the hashes that it has recorded."""

import typer

from edge_melanoma.commands.options import JsonFile, RunArgument
from edge_melanoma.machine.files import write_result
from edge_melanoma.machine.terminal import print_lines, results_console

NOT_AS_RECORDED = 1


def command(
    run: RunArgument = None,
    json: JsonFile = None,
) -> None:
    """Check weights, split, evaluation, exports and benches, and say what was changed or is gone.

    Exit code 1: a file was changed, is missing, or is of other weights. A file that no manifest
    knows is told and is no fault. A manifest itself is vouched for by nothing: keep its hash where
    it matters who wrote it.
    """
    from edge_melanoma.runs.bundled import bundled_run, is_bundled
    from edge_melanoma.runs.models import find_run
    from edge_melanoma.runs.recorded_files import describe_finding, verify_run

    folder = bundled_run().folder if is_bundled(run) else run or find_run(None).folder
    found = verify_run(folder)
    if not write_result(json, found):
        verdict = "as recorded" if found["as_recorded"] else "NOT as recorded"
        told = f"{run or folder}: {found['checked']} files with a recorded sha256, {verdict}."
        findings = map(describe_finding, found["findings"])
        print_lines(results_console(width=160), *findings, told)
    if not found["as_recorded"]:
        raise typer.Exit(NOT_AS_RECORDED)
