"""One file by different kernels: real ones that agree, and made ones whose differences count."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tflite_files import mean_model

from edge_melanoma.benchmarks.studies import kernels
from edge_melanoma.benchmarks.studies.kernels import (
    COLUMNS,
    KernelPath,
    compare_kernels,
    kernel_section,
)
from edge_melanoma.data.lesions import LesionRecord
from edge_melanoma.machine.terminal import SilentReporter
from edge_melanoma.runtime.interpreters import SessionSettings
from edge_melanoma.runtime.names import Kernels, Runtime

DEFAULT = KernelPath(
    runtime=Runtime.LITERT, kernels=Kernels.DEFAULT, threads=1, python=Path(sys.executable)
)
REFERENCE = replace(DEFAULT, kernels=Kernels.REFERENCE)
MISSING = replace(DEFAULT, runtime=Runtime.TFLITE_RUNTIME, python=None, reason="there is none")
MODEL = SessionSettings(
    data=mean_model(tensor="", signature="p_malignant"), name="int8", runtime=Runtime.LITERT
)


@pytest.fixture
def records(tmp_path: Path) -> tuple[LesionRecord, ...]:
    """Four greys; the two lightest are malignant."""
    found = []
    for number, grey in enumerate((0, 80, 160, 255)):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (224, 224), (grey, grey, grey)).save(path)
        found.append(LesionRecord(image_id=path.name, path=path, is_malignant=grey > 100))
    return tuple(found)


def compare(records: tuple[LesionRecord, ...], *paths: KernelPath) -> list[dict[str, Any]]:
    return compare_kernels([MODEL], records, paths, threshold=0.5, reporter=SilentReporter())


def test_a_mean_is_the_same_by_every_kernel_and_a_missing_one_says_why(
    records: tuple[LesionRecord, ...],
) -> None:
    first, second, third = compare(records, DEFAULT, REFERENCE, MISSING)
    assert (first["images"], first["identical"], first["max_quanta"]) == (4, 1.0, 0)
    assert first["cpu_ms"] > 0
    assert second["kernels"] == "reference"
    assert second["xnnpack"] is False
    assert (second["identical"], second["max_score_difference"]) == (1.0, 0.0)
    assert set(second["flips"].values()) == {0}
    assert third == {
        "mode": "int8",
        "runtime": "tflite_runtime",
        "kernels": "default",
        "threads": 1,
        "skipped": "there is none",
    }


def test_differences_are_counted_in_steps_of_the_output(
    records: tuple[LesionRecord, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Scores are (q - 20) / 4: .25, .75, .75, 1 against .5, .25, .25, 1 at the threshold .5.
    outputs = iter(([21, 23, 23, 24], [22, 21, 21, 24]))

    def run(number: int, path: KernelPath, **_: Any) -> Any:
        values = np.array(next(outputs), np.int8)
        return kernels._Outputs(values=values, xnnpack_parts=1, cpu_ms=1.0)

    monkeypatch.setattr(kernels, "_run", run)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    _, other = compare(records, DEFAULT, replace(DEFAULT, threads=2))
    assert other["max_quanta"] == 2
    assert other["max_score_difference"] == 0.5
    assert other["identical"] == 0.25
    assert other["flips"] == {
        "lost_malignant": 1,
        "gained_malignant": 0,
        "new_false_alarm": 1,
        "cleared_false_alarm": 1,
    }


def test_a_process_that_refuses_the_file_says_why(records: tuple[LesionRecord, ...]) -> None:
    broken = replace(REFERENCE, runtime=Runtime.LITERT, threads=0)
    _, refused = compare(records, DEFAULT, broken)
    assert refused["skipped"] == "ValueError: num_threads should >= 1"


def test_the_table_has_a_row_for_each_way_and_the_reasons_below(
    records: tuple[LesionRecord, ...],
) -> None:
    outcomes = compare_kernels(
        [MODEL], records, [REFERENCE, MISSING], threshold=0.5, reporter=SilentReporter()
    )
    section = kernel_section(outcomes)
    ran, missing = section.rows
    assert ran[:-1] == (
        *("int8", "ai_edge_litert", "reference: no XNNPACK", "1"),
        *("0/0", "0/0", "0", "0", "100.0%"),
    )
    assert missing[:5] == ("int8", "tflite_runtime", "default", "1", "not run")
    assert len(ran) == len(missing) == len(COLUMNS)
    assert section.note.endswith(" tflite_runtime did not run int8: there is none.")
    assert section.key == "kernels"
    assert [entry["kernels"] for entry in section.content] == ["reference", "default"]
