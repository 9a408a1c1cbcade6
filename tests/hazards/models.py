"""Damaged model files, each through what every command does with one: refused, or as before.

`python tests/hazards/models.py --out build/hazards/models.json` damages the model in the package
1,000 times and tries each three ways: with its manifest beside it, with its seal alone, and as a
file from elsewhere that has neither.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from mutations import Mutator, without_seal
from numpy.typing import NDArray

from edge_melanoma.benchmarks.timing.cold_start import peak_rss_mb
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import write_json
from edge_melanoma.machine.processes import run_limited
from edge_melanoma.runs.bundled import bundled_model
from edge_melanoma.runs.converted import open_converted
from edge_melanoma.runtime.interpreters import SessionSettings
from edge_melanoma.runtime.names import Runtime
from edge_melanoma.runtime.trial import TRIAL_SECONDS

MUTATIONS = 1_000
LARGEST_SECONDS, LARGEST_MEMORY_MB = 20.0, 1_000.0
Scores = tuple[float, ...]


class Guard(StrEnum):
    """What says how the file should be."""

    MANIFEST = "its manifest beside it"
    SEAL = "the seal inside of it, alone"
    NOTHING = "nothing, as a file from elsewhere"


class Outcome(StrEnum):
    """What became of a damaged file."""

    REFUSED = "refused in one sentence"
    SAME = "ran and gave what the undamaged file gives"
    OTHER = "ran and gave something else without a word"
    FAILED = "an error that is none of the user's, too slow, or too much memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One damaged file and what became of it; without a run there is no memory to tell."""

    number: int
    damage: str
    outcome: Outcome
    seconds: float
    peak_rss_mb: float | None
    message: str


def try_mutations(guard: Guard, numbers: Sequence[int], *, workers: int = 1) -> list[Trial]:
    """The trials of some damaged files under one guard, in order."""
    path = bundled_model()
    data = path.read_bytes() if guard is not Guard.NOTHING else without_seal(path.read_bytes())
    mutator = Mutator(data)
    expected, _ = _run(data, path.name)
    with (
        tempfile.TemporaryDirectory() as folder,
        ThreadPoolExecutor(workers) as pool,
    ):
        manifest = path.with_suffix(".json").read_bytes() if guard is Guard.MANIFEST else None
        return list(
            pool.map(
                lambda number: _try_one(mutator, number, Path(folder), manifest, expected), numbers
            )
        )


def _try_one(
    mutator: Mutator, number: int, folder: Path, manifest: bytes | None, expected: Scores
) -> Trial:
    damage, data = mutator.mutate(number)
    path = folder / f"{number}.tflite"
    path.write_bytes(data)
    if manifest is not None:
        path.with_suffix(".json").write_bytes(manifest)
    start, memory, message = time.perf_counter(), None, ""
    try:
        model = open_converted(path)
        scores, memory = _run(model.data, path.name)
        outcome = Outcome.SAME if scores == expected else Outcome.OTHER
    except EdgeMelanomaError as error:
        outcome, message = Outcome.REFUSED, str(error).replace(str(folder), "")
    except Exception as error:
        outcome, message = Outcome.FAILED, repr(error)
    seconds = time.perf_counter() - start
    path.unlink()
    if seconds > LARGEST_SECONDS or (memory or 0) > LARGEST_MEMORY_MB:
        outcome = Outcome.FAILED
    return Trial(
        number=number,
        damage=damage,
        outcome=outcome,
        seconds=seconds,
        peak_rss_mb=memory,
        message=message,
    )


def _run(data: bytes, name: str) -> tuple[Scores, float]:
    settings = SessionSettings(data=data, name=name, runtime=Runtime.LITERT)
    return run_limited(_score, settings, what=f"The model {name}", seconds=TRIAL_SECONDS)


def _score(settings: SessionSettings) -> tuple[Scores, float]:
    """In the limited process: scores of some pictures, and the memory at most."""
    session = settings.open()
    scores = tuple(session.score(picture) for picture in _pictures())
    return scores, peak_rss_mb()


def _pictures() -> list[NDArray[np.uint8]]:
    """Noise, black, white and a blot."""
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    blot = np.full_like(noise, 200)
    blot[60:160, 60:160] = (90, 60, 50)
    return [noise, np.zeros_like(noise), np.full_like(noise, 255), blot]


def hazard_row(guard: Guard, trials: Sequence[Trial]) -> dict[str, Any]:
    """A row of the table of hazards: lost is what answered otherwise, or failed."""
    counts = Counter(trial.outcome for trial in trials)
    survived = counts[Outcome.REFUSED] + counts[Outcome.SAME]
    ran = [trial.peak_rss_mb for trial in trials if trial.peak_rss_mb is not None]
    slowest = max(trial.seconds for trial in trials)
    memory = f", at most {max(ran):.0f} MB" if ran else ""
    return {
        "hazard": f"model file damaged; guarded by {guard.value}",
        "tried": len(trials),
        "survived": survived,
        "lost": len(trials) - survived,
        "note": f"{counts[Outcome.REFUSED]} refused, {counts[Outcome.SAME]} with the same output, "
        f"{counts[Outcome.OTHER]} with another output, {counts[Outcome.FAILED]} failed; slowest "
        f"{slowest:.1f} s{memory}",
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Try all, write rows and trials; 1 where a guarded file was lost or anything failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--mutations", type=int, default=MUTATIONS)
    chosen = parser.parse_args(arguments)
    rows, kept = [], {}
    for guard in Guard:
        trials = try_mutations(guard, range(chosen.mutations), workers=os.cpu_count() or 1)
        rows.append(hazard_row(guard, trials))
        kept[guard.value] = [asdict(trial) for trial in trials]
        print(json.dumps(rows[-1]), file=sys.stderr)
    write_json(chosen.out, rows)
    write_json(chosen.out.with_suffix(".trials.json"), kept)
    guarded = any(row["lost"] for row in rows[:2])
    failed = any(trial["outcome"] == Outcome.FAILED for trials in kept.values() for trial in trials)
    return int(guarded or failed)


if __name__ == "__main__":
    sys.exit(main())
