"""Every file of a run against the hash that a manifest holds of it: what changed, what is gone."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.command_line import CONFIG
from edge_melanoma.machine.files import UNFINISHED_PREFIX, sha256_of_file, write_json
from edge_melanoma.machine.schemas import read_json
from edge_melanoma.runs.manifests import BenchRecord, ExportManifest, RunManifest
from edge_melanoma.runs.models import MANIFEST, WEIGHTS

BENCH_RECORD = "files.json"
"""In a bench folder: the hashes of its files."""

CHANGED, MISSING, OUTDATED, UNKNOWN = "changed", "missing", "of other weights", "unknown"
"""What is wrong with a file; an unknown one is told and is no fault."""

FIELDS = ("file", "state", "recorded_in", "recorded_sha256", "sha256")


def verify_run(folder: Path) -> dict[str, Any]:
    """Check the weights, split, evaluation, exports and benches of a run: the content of --json.

    `checked` counts the files with a recorded hash. A finding's hashes are none where there is no
    such file or record.

    Raises:
        EdgeMelanomaError: there is no manifest, or one cannot be read.
    """
    if not (folder / MANIFEST).is_file():
        raise EdgeMelanomaError(
            f"There is no finished run in {folder}: it has no {MANIFEST}; name a run folder."
        )
    manifests = _read_manifests(folder)
    weights = manifests[MANIFEST]["files"].get(WEIGHTS, {}).get("sha256")
    recorded = [
        (manifest, file, sha256)
        for manifest, told in manifests.items()
        for file, sha256 in _recorded_in(manifest, told)
    ]
    unknown = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    hashes = {file: sha256_of_file(unknown[file]) for _, file, _ in recorded if file in unknown}
    findings = []
    for manifest, file, expected in recorded:
        sha256 = hashes.get(file)
        if sha256 != expected:
            state = MISSING if sha256 is None else CHANGED
            findings.append(_finding(file, state, manifest, expected, sha256))
        unknown.pop(manifest, None)
        unknown.pop(file, None)
    for name, told in manifests.items():
        if name != MANIFEST and told.get("source_sha256") != weights:
            findings.append(_finding(name, OUTDATED, MANIFEST, weights, told.get("source_sha256")))
    unknown.pop(f"exports/{CONFIG}", None)  # what was asked for last, and no result
    sound = not findings
    findings += [_finding(name, UNKNOWN) for name in unknown]
    return {
        "schema": 1,
        "run": str(folder),
        "checked": len(recorded),
        "as_recorded": sound,
        "findings": findings,
    }


def describe_finding(finding: Mapping[str, Any]) -> str:
    """One line about it."""
    file, state, recorded = finding["file"], finding["state"], finding["recorded_sha256"]
    if recorded is None:
        return f"{state}: {file}, which no manifest knows"
    sha256 = finding["sha256"]
    found = f"{file} is {sha256[:16]}" if sha256 else f"{file} is not there"
    return f"{state}: {found}; {finding['recorded_in']} has {recorded[:16]}"


def _finding(*values: str | None) -> dict[str, str | None]:
    """The fields that are known, in their order; the others are none."""
    return dict(zip_longest(FIELDS, values))


def _read_manifests(folder: Path) -> dict[str, dict[str, Any]]:
    """By their name relative to the run: its own first, then those of benches and of exports.

    Not `model_int8.evaluation.json`, which is a result of the file and no record of it.
    """
    exports = sorted((folder / "exports").glob("model_*.json"))
    kinds = {
        folder / MANIFEST: RunManifest,
        **dict.fromkeys(sorted(folder.glob(f"bench*/**/{BENCH_RECORD}")), BenchRecord),
        **dict.fromkeys((path for path in exports if "." not in path.stem), ExportManifest),
    }
    return {
        path.relative_to(folder).as_posix(): read_json(path, kind) for path, kind in kinds.items()
    }


def _recorded_in(name: str, told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The files of a manifest by their name relative to the run, each with its sha256."""
    manifest = Path(name)
    if manifest.name in {MANIFEST, BENCH_RECORD}:
        files = told["files"]
    else:
        files = {manifest.with_suffix(".tflite").name: told, **told.get("companions", {})}
        if told.get("validation_scores"):
            files[manifest.with_suffix(".validation.csv").name] = told["validation_scores"]
    for file, record in files.items():
        yield (manifest.parent / file).as_posix(), record["sha256"]


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        is_hidden = path.name.startswith(".") and not path.name.startswith(UNFINISHED_PREFIX)
        if path.is_file() and not is_hidden and path != folder / MANIFEST:
            yield path


def hashes_of(folder: Path, paths: Iterable[Path]) -> dict[str, dict[str, object]]:
    """sha256 and size of files, by their name relative to `folder`."""
    return {
        path.relative_to(folder).as_posix(): {
            "sha256": sha256_of_file(path),
            "bytes": path.stat().st_size,
        }
        for path in sorted(paths)
    }


def record_bench(folder: Path, *, source_sha256: str) -> None:
    """Write the hashes of a bench's files beside them."""
    files = [path for path in folder.iterdir() if path.is_file() and path.name != BENCH_RECORD]
    content = {
        "schema": 1,
        "source_sha256": source_sha256,
        "files": hashes_of(folder, [path for path in files if not path.name.startswith(".")]),
    }
    write_json(folder / BENCH_RECORD, content)
