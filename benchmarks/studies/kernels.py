"""The same file by different kernels: how far its outputs part, and which decisions turn."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.benchmarks.parity.comparison import Flips, find_flips
from edge_melanoma.benchmarks.sections import Column, ReportSection, section_of
from edge_melanoma.benchmarks.studies.kernel_paths import KernelPath
from edge_melanoma.data.images import IMAGE_SIZE
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.evaluation.predictions import make_prediction_set
from edge_melanoma.machine.processes import last_line, run_in_child
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.runtime.classifiers import DecodedImages, decoded
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.tflite.quantization import ScoreTensor

PROCESS = Path(__file__).with_name("kernel_process.py")
LIMIT_SECONDS = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelOutcome:
    """What a file gave on one path, or why it did not run there.

    Differences are to the first path: quanta are steps of the output's integer, none for floats.
    """

    mode: str
    path: KernelPath
    reason: str = ""
    xnnpack_parts: int = 0
    cpu_ms: float = 0.0
    images: int = 0
    max_quanta: int | None = None
    max_score_difference: float = 0.0
    identical: float = 1.0
    flips: Flips | None = None

    def as_dict(self) -> dict[str, Any]:
        """For parity.json."""
        way = {
            "mode": self.mode,
            "runtime": self.path.runtime.value,
            "kernels": self.path.kernels.value,
            "threads": self.path.threads,
        }
        if self.flips is None:
            return way | {"skipped": self.reason}
        return way | {
            "xnnpack": self.xnnpack_parts > 0,
            "xnnpack_parts": self.xnnpack_parts,
            "images": self.images,
            "max_quanta": self.max_quanta,
            "max_score_difference": self.max_score_difference,
            "identical": self.identical,
            "flips": self.flips.counts(),
            "cpu_ms": self.cpu_ms,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outputs:
    values: NDArray[np.generic]
    xnnpack_parts: int
    cpu_ms: float


def compare_kernels(
    models: Iterable[SessionSettings],
    records: Sequence[LesionRecord],
    paths: Sequence[KernelPath],
    *,
    threshold: float,
    reporter: Reporter,
) -> list[KernelOutcome]:
    """Each of the models (its name is its mode) on each path, held against the first path."""
    outcomes = []
    with (
        decoded([record.path for record in records], reporter=reporter) as images,
        tempfile.TemporaryDirectory(prefix="edge-melanoma-") as folder,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        for model in models:
            tensor, table = run_in_child(_describe, model)
            place = Path(folder) / model.name
            place.mkdir()
            (place / "model.tflite").write_bytes(model.data)
            np.save(place / "table.npy", table)
            run = partial(_run, images=images, place=place)
            runs = pool.map(run, range(len(paths)), paths)
            tracked = reporter.track(runs, label=f"Kernels, {model.name}", total=len(paths))
            outcomes += _compare(model.name, paths, list(tracked), tensor, records, threshold)
    return outcomes


def _describe(settings: SessionSettings) -> tuple[ScoreTensor, NDArray[np.generic]]:
    session = TFLiteSession(settings)
    return session.score_tensor, session.pixel_table


def _run(number: int, path: KernelPath, *, images: DecodedImages, place: Path) -> _Outputs | str:
    """The outputs of a process of its own, or why there are none."""
    if path.python is None:
        return path.reason
    outputs, job = place / f"{number}.npy", place / f"{number}.json"
    told = {
        "pixels": str(images.path),
        "count": images.count,
        "model": str(place / "model.tflite"),
        "table": str(place / "table.npy"),
        "outputs": str(outputs),
        "shape": [IMAGE_SIZE, IMAGE_SIZE, 3],
        "runtime": path.runtime.value,
        "kernels": path.kernels.value,
        "threads": path.threads,
    }
    job.write_text(json.dumps(told), encoding="utf-8")
    # The folder of the script, with names like `tables`, is not for import; -P is of Python 3.11.
    safe = "-P" if str(path.python) == sys.executable else "-I"
    command = [str(path.python), safe, str(PROCESS), str(job)]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    if result.returncode != 0:
        return last_line(result.stderr) or f"the process ended with {result.returncode}"
    answer = json.loads(last_line(result.stdout))
    return _Outputs(
        values=np.load(outputs),
        xnnpack_parts=answer["xnnpack_parts"],
        cpu_ms=answer["cpu_ms"],
    )


def _compare(
    mode: str,
    paths: Sequence[KernelPath],
    found: Sequence[_Outputs | str],
    tensor: ScoreTensor,
    records: Sequence[LesionRecord],
    threshold: float,
) -> list[KernelOutcome]:
    base = found[0]
    if isinstance(base, str):
        return [KernelOutcome(mode=mode, path=path, reason=base) for path in paths]
    reference = make_prediction_set(records, tensor.scores(base.values))
    outcomes = []
    for path, outputs in zip(paths, found, strict=True):
        if isinstance(outputs, str):
            outcomes.append(KernelOutcome(mode=mode, path=path, reason=outputs))
            continue
        scores = make_prediction_set(records, tensor.scores(outputs.values))
        outcomes.append(
            KernelOutcome(
                mode=mode,
                path=path,
                xnnpack_parts=outputs.xnnpack_parts,
                cpu_ms=outputs.cpu_ms,
                images=len(records),
                max_quanta=_largest_step(base.values, outputs.values, tensor),
                max_score_difference=float(np.abs(scores.scores - reference.scores).max()),
                identical=float(np.mean(base.values == outputs.values)),
                flips=find_flips(reference, scores, threshold=threshold),
            )
        )
    return outcomes


def _largest_step(
    base: NDArray[np.generic], other: NDArray[np.generic], tensor: ScoreTensor
) -> int | None:
    if tensor.quantization.is_float:
        return None
    return int(np.abs(other.astype(np.int64) - base.astype(np.int64)).max())


def _ran(cell: str, missing: str = "") -> Callable[[KernelOutcome], str]:
    """A cell that is empty where the file did not run; {1} are the numbers of the flips."""
    return lambda one: cell.format(one, one.flips.counts()) if one.flips else missing


def _describe_kernels(outcome: KernelOutcome) -> str:
    found = ": XNNPACK" if outcome.xnnpack_parts else ": no XNNPACK"
    return outcome.path.kernels.value + (found if outcome.flips else "")


def _quanta(outcome: KernelOutcome) -> str:
    return _ran("float" if outcome.max_quanta is None else "{0.max_quanta}")(outcome)


COLUMNS: tuple[Column, ...] = (
    ("model", "{0.mode}"),
    ("interpreter", "{0.path.runtime.value}"),
    ("kernels", _describe_kernels),
    ("threads", "{0.path.threads}"),
    ("lost/gained malignant", _ran("{1[lost_malignant]}/{1[gained_malignant]}", "not run")),
    ("false alarms new/cleared", _ran("{1[new_false_alarm]}/{1[cleared_false_alarm]}")),
    ("largest difference, quanta", _quanta),
    ("of P", _ran("{0.max_score_difference:.4g}")),
    ("identical", _ran("{0.identical:.1%}")),
    ("CPU ms", _ran("{0.cpu_ms:.1f}")),
)


def kernel_section(outcomes: Sequence[KernelOutcome]) -> ReportSection:
    """A row for each file and path, those that did not run with the reason."""
    images = max((outcome.images for outcome in outcomes), default=0)
    skipped = dict.fromkeys(
        f" {outcome.path.runtime.value} did not run {outcome.mode}: {outcome.reason}."
        for outcome in outcomes
        if outcome.flips is None
    )
    return section_of(
        "The same file by different kernels",
        COLUMNS,
        outcomes,
        note=f"{images} images, spread over the set; each row is held against the first of its "
        f"model, at the threshold. Quanta: steps of the output's integer. A phone that runs other "
        f"kernels than these gives other scores.{''.join(skipped)}",
        key="kernels",
        content=[outcome.as_dict() for outcome in outcomes],
    )
