"""The same file by different kernels: how far its outputs part, and which decisions turn."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.benchmarks.parity.comparison import find_flips
from edge_melanoma.benchmarks.sections import Column, ReportSection, section_of
from edge_melanoma.data.images import IMAGE_SIZE
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.evaluation.predictions import make_prediction_set
from edge_melanoma.machine.environment import package_version
from edge_melanoma.machine.processes import last_line, run_in_child
from edge_melanoma.machine.terminal import Reporter
from edge_melanoma.runtime.classifiers import DecodedImages, decoded
from edge_melanoma.runtime.interpreters import SessionSettings, TFLiteSession
from edge_melanoma.runtime.names import PACKAGE_OF_RUNTIME, Kernels, Runtime
from edge_melanoma.tflite.quantization import ScoreTensor

PROCESS = Path(__file__).with_name("kernel_process.py")
LIMIT_SECONDS = 3600

PROBE = "import importlib, numpy, sys; importlib.import_module(sys.argv[1])"
PROBE_SECONDS = 120
PYTHONS = ("python3.11", "python3.10", "python3.9", "python3")
"""Looked for on PATH; tflite-runtime's last wheels are for the first three."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelPath:
    """One way to run a file; `python` is none where no Python here has the interpreter."""

    runtime: Runtime
    kernels: Kernels
    threads: int
    python: Path | None
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For parity.json, and for the process that runs the file."""
        return {
            "runtime": self.runtime.value,
            "kernels": self.kernels.value,
            "threads": self.threads,
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
    size: int = IMAGE_SIZE,
    reporter: Reporter,
) -> list[dict[str, Any]]:
    """Each of the models (its name is its mode) on each path, held against the first path.

    For parity.json: differences, `max_quanta` in steps of the output's integer, none for floats; or
    in `skipped` why the file did not run there.
    """
    outcomes = []
    with (
        decoded([record.path for record in records], size=size, reporter=reporter) as images,
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
        "shape": [images.size, images.size, 3],
        **path.as_dict(),
    }
    job.write_text(json.dumps(told), encoding="utf-8")
    # The folder of the script, with names like `tables`, is not for import; -P is of Python 3.11.
    safe = "-P" if str(path.python) == sys.executable else "-I"
    command = [str(path.python), safe, str(PROCESS), str(job)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    if result.returncode != 0:
        return last_line(result.stderr) or f"the process ended with {result.returncode}"
    answer = json.loads(last_line(result.stdout))
    return _Outputs(values=np.load(outputs), **answer)


def _compare(
    mode: str,
    paths: Sequence[KernelPath],
    found: Sequence[_Outputs | str],
    tensor: ScoreTensor,
    records: Sequence[LesionRecord],
    threshold: float,
) -> list[dict[str, Any]]:
    base, is_float = found[0], tensor.quantization.is_float
    outcomes = []
    for path, outputs in zip(paths, found, strict=True):
        way: dict[str, Any] = {"mode": mode, **path.as_dict()}
        outcomes.append(way)
        if isinstance(base, str) or isinstance(outputs, str):
            way["skipped"] = base if isinstance(base, str) else outputs
            continue
        reference, scores = (
            make_prediction_set(records, tensor.scores(ran.values)) for ran in (base, outputs)
        )
        steps = np.abs(outputs.values.astype(np.float64) - base.values.astype(np.float64))
        way |= {
            "xnnpack": outputs.xnnpack_parts > 0,
            "xnnpack_parts": outputs.xnnpack_parts,
            "images": len(records),
            "max_quanta": None if is_float else int(steps.max()),
            "max_score_difference": float(np.abs(scores.scores - reference.scores).max()),
            "identical": float(np.mean(base.values == outputs.values)),
            "flips": find_flips(reference, scores, threshold=threshold).counts(),
            "cpu_ms": outputs.cpu_ms,
        }
    return outcomes


def list_paths(interpreter_python: Path | None) -> tuple[KernelPath, ...]:
    """Every way, the one that all others are held against first.

    `interpreter_python` is a Python that has tflite-runtime; without it one is looked for.

    Raises:
        EdgeMelanomaError: `interpreter_python` cannot run tflite-runtime.
    """
    own, package = Path(sys.executable), PACKAGE_OF_RUNTIME[Runtime.TF_LITE]
    missing = f"{package} is not installed; install it with: pip install {package}"
    places: dict[Runtime, tuple[Path | None, str]] = {
        Runtime.LITERT: (own, ""),
        # Not imported for this: that takes 5 s, and each of its paths will say what is wrong.
        Runtime.TF_LITE: (own, "") if package_version(package) else (None, missing),
        Runtime.TFLITE_RUNTIME: _find_tflite_runtime(interpreter_python),
    }
    return tuple(
        KernelPath(runtime=runtime, kernels=kernels, threads=threads, python=python, reason=reason)
        for runtime, (python, reason) in places.items()
        for kernels, threads in _ways(has_python=python is not None)
    )


def _ways(*, has_python: bool) -> Iterator[tuple[Kernels, int]]:
    if not has_python:
        yield Kernels.DEFAULT, 1
        return
    for kernels in (Kernels.DEFAULT, Kernels.BUILT_IN):
        for threads in thread_counts(os.cpu_count() or 1):
            yield kernels, threads
    # These do not use threads, and take 40 times as long.
    yield Kernels.REFERENCE, 1


def thread_counts(cores: int) -> tuple[int, ...]:
    """1, 2, 4 and so on up to all cores."""
    return tuple(dict.fromkeys([*(2**power for power in range(cores.bit_length())), cores]))


def _find_tflite_runtime(asked: Path | None) -> tuple[Path | None, str]:
    module = f"{Runtime.TFLITE_RUNTIME.value}.interpreter"
    if asked is not None:
        reason = _probe(asked, module)
        if reason is not None:
            raise EdgeMelanomaError(
                f"--interpreter-python {asked} does not run tflite-runtime: {reason}; expected a "
                f"Python 3.9 to 3.11 with: pip install tflite-runtime==2.14.0 'numpy<2'"
            )
        return asked, ""
    found = [shutil.which(name) for name in PYTHONS]
    for python in [sys.executable, *(path for path in found if path)]:
        if _probe(Path(python), module) is None:
            return Path(python), ""
    return None, (
        "no Python here runs tflite-runtime; name one with --interpreter-python, made with: "
        "pip install tflite-runtime==2.14.0 'numpy<2'"
    )


def _probe(python: Path, module: str) -> str | None:
    """None if that Python imports the module, else why not."""
    try:
        command = [str(python), "-I", "-c", PROBE, module]
        result = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if result.returncode == 0:
        return None
    return last_line(result.stderr) or f"it ended with {result.returncode}"


def _ran(cell: str, missing: str = "") -> Callable[[Mapping[str, Any]], str]:
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
