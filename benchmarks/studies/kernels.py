"""The same file by different kernels: how far its outputs part, and which decisions turn."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.benchmarks.parity.comparison import find_flips
from edge_melanoma.benchmarks.sections import Column, ReportSection, section_of
from edge_melanoma.benchmarks.studies.kernel_paths import KernelPath
from edge_melanoma.data.images import IMAGE_SIZE
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.evaluation.predictions import PredictionSet, make_prediction_set
from edge_melanoma.machine.processes import last_line, run_in_child
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.runtime.classifiers import DecodedImages, decoded
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.tflite.quantization import ScoreTensor

PROCESS = Path(__file__).with_name("kernel_process.py")
LIMIT_SECONDS = 3600


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
) -> list[dict[str, Any]]:
    """Each of the models (its name is its mode) on each path, held against the first path.

    For parity.json: differences, `max_quanta` in steps of the output's integer, none for floats; or
    in `skipped` why the file did not run there.
    """
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
) -> list[dict[str, Any]]:
    base = found[0]
    is_float = tensor.quantization.is_float
    outcomes = []
    for path, outputs in zip(paths, found, strict=True):
        way: dict[str, Any] = {
            "mode": mode,
            "runtime": path.runtime.value,
            "kernels": path.kernels.value,
            "threads": path.threads,
        }
        if isinstance(base, str) or isinstance(outputs, str):
            outcomes.append(way | {"skipped": base if isinstance(base, str) else outputs})
            continue
        reference = _scores(base, tensor, records)
        scores = _scores(outputs, tensor, records)
        steps = np.abs(outputs.values.astype(np.float64) - base.values.astype(np.float64))
        outcomes.append(
            way
            | {
                "xnnpack": outputs.xnnpack_parts > 0,
                "xnnpack_parts": outputs.xnnpack_parts,
                "images": len(records),
                "max_quanta": None if is_float else int(steps.max()),
                "max_score_difference": float(np.abs(scores.scores - reference.scores).max()),
                "identical": float(np.mean(base.values == outputs.values)),
                "flips": find_flips(reference, scores, threshold=threshold).counts(),
                "cpu_ms": outputs.cpu_ms,
            }
        )
    return outcomes


def _scores(
    outputs: _Outputs, tensor: ScoreTensor, records: Sequence[LesionRecord]
) -> PredictionSet:
    return make_prediction_set(records, tensor.scores(outputs.values))


def _ran(cell: str, missing: str = "") -> Callable[[Mapping[str, Any]], str]:
    """A cell that is empty where the file did not run."""
    return lambda one: cell.format(one) if "flips" in one else missing


def _kernels(one: Mapping[str, Any]) -> str:
    found = ": XNNPACK" if one.get("xnnpack") else ": no XNNPACK"
    return f"{one['kernels']}{_ran(found)(one)}"


def _quanta(one: Mapping[str, Any]) -> str:
    return _ran("float" if one.get("max_quanta") is None else "{0[max_quanta]}")(one)


COLUMNS: tuple[Column, ...] = (
    ("model", "{0[mode]}"),
    ("interpreter", "{0[runtime]}"),
    ("kernels", _kernels),
    ("threads", "{0[threads]}"),
    (
        "lost/gained malignant",
        _ran("{0[flips][lost_malignant]}/{0[flips][gained_malignant]}", "not run"),
    ),
    (
        "false alarms new/cleared",
        _ran("{0[flips][new_false_alarm]}/{0[flips][cleared_false_alarm]}"),
    ),
    ("largest difference, quanta", _quanta),
    ("of P", _ran("{0[max_score_difference]:.4g}")),
    ("identical", _ran("{0[identical]:.1%}")),
    ("CPU ms", _ran("{0[cpu_ms]:.1f}")),
)


def kernel_section(outcomes: Sequence[Mapping[str, Any]]) -> ReportSection:
    """A row for each file and path, those that did not run with the reason."""
    images = max((one.get("images", 0) for one in outcomes), default=0)
    skipped = dict.fromkeys(
        " {runtime} did not run {mode}: {skipped}.".format_map(one)
        for one in outcomes
        if "skipped" in one
    )
    return section_of(
        "The same file by different kernels",
        COLUMNS,
        outcomes,
        note=f"{images} images, spread over the set; each row is held against the first of its "
        f"model, at the threshold. Quanta: steps of the output's integer. A phone that runs other "
        f"kernels than these gives other scores.{''.join(skipped)}",
        key="kernels",
        content=outcomes,
    )
