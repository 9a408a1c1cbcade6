"""Every file of a run against the hash that a manifest holds of it: what changed, what is gone."""

from collections.abc import Iterable, Iterator, Mapping
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
class RunFinding:
    """A file that is not as recorded; hashes are none where there is no such file or record."""

    file: str
    state: State
    recorded_in: str | None = None
    recorded_sha256: str | None = None
    sha256: str | None = None

    def __str__(self) -> str:
        if self.recorded_sha256 is None:
            return f"{self.state}: {self.file}, which no manifest knows"
        found = f"{self.file} is {self.sha256[:16]}" if self.sha256 else f"{self.file} is not there"
        return f"{self.state}: {found}; {self.recorded_in} has {self.recorded_sha256[:16]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """All hashes of a run, looked at once; `checked` counts the files with a recorded hash."""

    run: str
    checked: int
    findings: tuple[RunFinding, ...]

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
    manifests = _read_manifests(folder)
    found = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    findings: list[RunFinding] = []
    known: set[str] = set()
    checked = 0
    for manifest, told in manifests.items():
        for file, recorded in _recorded_in(folder, manifest, told):
            known |= {manifest, file}
            checked += 1
            sha256 = sha256_of(found[file].read_bytes()) if file in found else None
            if sha256 != recorded:
                state = State.MISSING if sha256 is None else State.CHANGED
                record = {"recorded_in": manifest, "recorded_sha256": recorded}
                findings.append(RunFinding(file=file, state=state, sha256=sha256, **record))
    findings += _outdated(manifests)
    findings += [RunFinding(file=name, state=State.UNKNOWN) for name in found if name not in known]
    return Verification(run=str(folder), checked=checked, findings=tuple(findings))


def _read_manifests(folder: Path) -> dict[str, dict[str, Any]]:
    """By their name relative to the run: its own first, then those of benches and of exports.

    Not `model_int8.evaluation.json`, which is a result of the file and no record of it.
    """
    exports = sorted((folder / "exports").glob("model_*.json"))
    paths = [
        folder / MANIFEST,
        *sorted((folder / "bench").rglob(BENCH_RECORD)),
        *(path for path in exports if "." not in path.stem),
    ]
    return {path.relative_to(folder).as_posix(): read_json(path) for path in paths}


def _recorded_in(run: Path, name: str, told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The files of a manifest by their name relative to the run, each with its sha256."""
    manifest = Path(name)
    if manifest.name in {MANIFEST, BENCH_RECORD}:
        files = told.get("files", {})
    else:
        files = {manifest.with_suffix(".tflite").name: told, **told.get("companions", {})}
        if told.get("validation_scores"):
            files[manifest.with_suffix(".validation.csv").name] = told["validation_scores"]
    for file, record in files.items():
        if not isinstance(record, Mapping) or "sha256" not in record:
            raise EdgeMelanomaError(f"{run / name} holds no sha256 of {file}; it was damaged.")
        yield (manifest.parent / file).as_posix(), str(record["sha256"])


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        is_hidden = path.name.startswith(".") and not path.name.startswith(UNFINISHED_PREFIX)
        if path.is_file() and not is_hidden and path != folder / MANIFEST:
            yield path


def _outdated(manifests: Mapping[str, Mapping[str, Any]]) -> Iterator[RunFinding]:
    """Exports and benches of other weights than those that the run's manifest holds."""
    weights = manifests[MANIFEST].get("files", {}).get(WEIGHTS, {}).get("sha256")
    for name, told in manifests.items():
        source = told.get("source_sha256")
        if name != MANIFEST and source != weights:
            record = {"recorded_in": MANIFEST, "recorded_sha256": weights}
            yield RunFinding(file=name, state=State.OUTDATED, sha256=source, **record)


def hashes_of(folder: Path, paths: Iterable[Path]) -> dict[str, dict[str, object]]:
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
