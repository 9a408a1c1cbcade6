"""The ways to run a file: which there are, and why one is not."""

import re
import sys
from pathlib import Path

import pytest

from edge_melanoma.benchmarks.studies import kernels
from edge_melanoma.benchmarks.studies.kernels import list_paths, thread_counts
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.runtime.names import Kernels, Runtime


@pytest.mark.parametrize(
    ("cores", "counts"), [(1, (1,)), (2, (1, 2)), (6, (1, 2, 4, 6)), (8, (1, 2, 4, 8))]
)
def test_threads_are_doubled_up_to_all_cores(cores: int, counts: tuple[int, ...]) -> None:
    assert thread_counts(cores) == counts


def python_of(folder: Path, name: str, *, code: int, error: str = "") -> Path:
    """A program that stands for a Python that has tflite-runtime, or has not."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{error}' >&2\nexit {code}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def only_litert(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two cores, no TensorFlow, and no Python on PATH."""
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(kernels, "package_version", lambda package: None)
    run = kernels._probe
    monkeypatch.setattr(
        kernels,
        "_probe",
        lambda python, module: (
            "No module named x" if str(python) == sys.executable else run(python, module)
        ),
    )


@pytest.mark.usefixtures("only_litert")
def test_what_is_not_here_has_one_path_with_a_reason() -> None:
    paths = list_paths(None)
    ways = [(path.runtime, path.kernels, path.threads) for path in paths if path.python]
    assert ways == [
        (Runtime.LITERT, Kernels.DEFAULT, 1),
        (Runtime.LITERT, Kernels.DEFAULT, 2),
        (Runtime.LITERT, Kernels.BUILT_IN, 1),
        (Runtime.LITERT, Kernels.BUILT_IN, 2),
        (Runtime.LITERT, Kernels.REFERENCE, 1),
    ]
    assert {path.runtime: path.reason for path in paths if path.python is None} == {
        Runtime.TF_LITE: "tensorflow is not installed; install it with: pip install tensorflow",
        Runtime.TFLITE_RUNTIME: "no Python here runs tflite-runtime; name one with "
        "--interpreter-python, made with: pip install tflite-runtime==2.14.0 'numpy<2'",
    }


@pytest.mark.usefixtures("only_litert")
def test_a_python_is_found_on_path_and_a_named_one_is_taken(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    python_of(tmp_path / "bin", "python3.11", code=1, error="ModuleNotFoundError")
    found = python_of(tmp_path / "bin", "python3.9", code=0)
    assert {path.python for path in list_paths(None)} == {Path(sys.executable), found, None}
    named = python_of(tmp_path, "mine", code=0)
    ways = [path for path in list_paths(named) if path.python == named]
    assert {path.runtime for path in ways} == {Runtime.TFLITE_RUNTIME}
    assert len(ways) == 5


@pytest.mark.usefixtures("only_litert")
def test_a_named_python_without_tflite_runtime_is_refused(tmp_path: Path) -> None:
    wrong = python_of(tmp_path, "wrong", code=1, error="ImportError: numpy 2 does not fit")
    message = (
        f"--interpreter-python {wrong} does not run tflite-runtime: ImportError: numpy 2 does not "
        f"fit; expected a Python 3.9 to 3.11 with: pip install tflite-runtime==2.14.0 'numpy<2'"
    )
    with pytest.raises(EdgeMelanomaError, match=f"^{re.escape(message)}$"):
        list_paths(wrong)
    with pytest.raises(EdgeMelanomaError, match="No such file or directory"):
        list_paths(tmp_path / "missing")
