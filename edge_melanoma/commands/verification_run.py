"""What `verify` does: look at all recorded hashes of a run and print what is not as recorded."""

import json
from pathlib import Path

from edge_melanoma.machine.terminal import print_lines, results_console
from edge_melanoma.runs.bundled import bundled_run, is_bundled
from edge_melanoma.runs.recorded_files import RunFinding, verify_run


def verify_and_show(folder: Path, *, as_json: bool) -> bool:
    """Print a line a finding, or JSON; whether all recorded files are as recorded."""
    verification = verify_run(bundled_run().folder if is_bundled(folder) else folder)
    if as_json:
        print(json.dumps(verification.as_dict(), indent=2))
        return verification.is_as_recorded
    console = results_console(width=160)
    verdict = "as recorded" if verification.is_as_recorded else "NOT as recorded"
    told = f"{folder}: {verification.checked} files with a recorded sha256, {verdict}."
    print_lines(console, *map(_describe, verification.findings), told)
    return verification.is_as_recorded


def _describe(finding: RunFinding) -> str:
    if finding.recorded_sha256 is None:
        return f"{finding.state}: {finding.file}, which no manifest knows"
    found = f"is {finding.sha256[:16]}" if finding.sha256 else "is not there"
    return (
        f"{finding.state}: {finding.file} {found}; {finding.recorded_in} has "
        f"{finding.recorded_sha256[:16]}"
    )
