"""Every file of a run against the hash that a manifest holds of it: what changed, what is gone."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import UNFINISHED_PREFIX, read_json, sha256_of, write_json
from edge_melanoma.runs.models import MANIFEST, WEIGHTS

BENCH_RECORD = "files.json"
"""In a bench folder: the hashes of its files."""


class State(StrEnum):
    """What is wrong with a file; an unknown one is told and is no fault."""

    CHANGED = "changed"
    MISSING = "missing"
    OUTDATED = "of other weights"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFile:
    """A file as a manifest has it, both named relative to the run folder."""

    file: str
    sha256: str
    recorded_in: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A file that is not as recorded; hashes are none where there is no such file or record."""

    file: str
    state: State
    recorded_in: str | None = None
    recorded_sha256: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """All hashes of a run, looked at once; `checked` counts the files with a recorded hash."""

    run: str
    checked: int
    findings: tuple[Finding, ...]

    @property
    def is_as_recorded(self) -> bool:
        """Whether nothing but unknown files was found."""
        return all(finding.state is State.UNKNOWN for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "schema": 1,
            "run": self.run,
            "checked": self.checked,
            "as_recorded": self.is_as_recorded,
            "findings": [asdict(finding) for finding in self.findings],
        }


def verify_run(folder: Path) -> Verification:
    """Check the weights, split, evaluation, exports and benches of a run.

    Raises:
        EdgeMelanomaError: there is no manifest, or one cannot be read.
    """
    if not (folder / MANIFEST).is_file():
        raise EdgeMelanomaError(
            f"There is no finished run in {folder}: it has no {MANIFEST}; name a run folder."
        )
    recorded = tuple(_recorded(folder))
    found = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    findings = [finding for one in recorded if (finding := _compare(one, found)) is not None]
    findings += _outdated(folder)
    known = {one.file for one in recorded} | {one.recorded_in for one in recorded}
    findings += [Finding(file=name, state=State.UNKNOWN) for name in found if name not in known]
    return Verification(run=str(folder), checked=len(recorded), findings=tuple(findings))


def hashes_of(folder: Path, paths: Iterator[Path] | list[Path]) -> dict[str, dict[str, object]]:
    """sha256 and size of files, by their name relative to `folder`."""
    contents = {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(paths)}
    return {
        name: {"sha256": sha256_of(data), "bytes": len(data)} for name, data in contents.items()
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


def _recorded(folder: Path) -> Iterator[RecordedFile]:
    for manifest in [folder / MANIFEST, *sorted((folder / "bench").rglob(BENCH_RECORD))]:
        yield from _listed(folder, manifest, read_json(manifest).get("files", {}))
    for manifest in _export_manifests(folder):
        told = read_json(manifest)
        files = {manifest.with_suffix(".tflite").name: told, **told.get("companions", {})}
        if told.get("validation_scores"):
            files[manifest.with_suffix(".validation.csv").name] = told["validation_scores"]
        yield from _listed(folder, manifest, files)


def _listed(
    folder: Path, manifest: Path, files: Mapping[str, Mapping[str, Any]]
) -> Iterator[RecordedFile]:
    for name, told in files.items():
        if not isinstance(told, Mapping) or "sha256" not in told:
            raise EdgeMelanomaError(f"{manifest} holds no sha256 of {name}; it was damaged.")
        yield RecordedFile(
            file=(manifest.parent / name).relative_to(folder).as_posix(),
            sha256=str(told["sha256"]),
            recorded_in=manifest.relative_to(folder).as_posix(),
        )


def _export_manifests(folder: Path) -> list[Path]:
    """Not `model_int8.evaluation.json`, which is a result of the file and no record of it."""
    paths = (folder / "exports").glob("model_*.json")
    return sorted(path for path in paths if "." not in path.stem)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        is_hidden = path.name.startswith(".") and not path.name.startswith(UNFINISHED_PREFIX)
        if path.is_file() and not is_hidden and path != folder / MANIFEST:
            yield path


def _compare(recorded: RecordedFile, found: Mapping[str, Path]) -> Finding | None:
    sha256 = sha256_of(found[recorded.file].read_bytes()) if recorded.file in found else None
    if sha256 == recorded.sha256:
        return None
    return Finding(
        file=recorded.file,
        state=State.MISSING if sha256 is None else State.CHANGED,
        recorded_in=recorded.recorded_in,
        recorded_sha256=recorded.sha256,
        sha256=sha256,
    )


def _outdated(folder: Path) -> Iterator[Finding]:
    """Exports and benches of other weights than those that the run's manifest holds."""
    weights = read_json(folder / MANIFEST).get("files", {}).get(WEIGHTS, {}).get("sha256")
    for manifest in [*_export_manifests(folder), *(folder / "bench").rglob(BENCH_RECORD)]:
        source = read_json(manifest).get("source_sha256")
        if source != weights:
            yield Finding(
                file=manifest.relative_to(folder).as_posix(),
                state=State.OUTDATED,
                recorded_in=MANIFEST,
                recorded_sha256=weights,
                sha256=source,
            )
