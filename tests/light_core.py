"""The same tests without the extra train: what needs TensorFlow is skipped, and says so.

A plugin of pytest that does nothing where TensorFlow is installed.
"""

import importlib.util
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from edge_melanoma.errors import MissingExtraError

IS_LIGHT = importlib.util.find_spec("tensorflow") is None
REASON = "TensorFlow is not installed: it comes with the extra train, for Python 3.11 to 3.13"
PACKAGES = ("h5py", "safetensors", "tensorflow", "tensorflow_model_optimization", "tf_keras")


class _File(pytest.Module):
    """A test file that may import what is not installed."""

    def _getobj(self) -> Any:
        try:
            return super()._getobj()  # type: ignore[no-untyped-call] # pytest gives no types
        except MissingExtraError:
            pytest.skip(REASON, allow_module_level=True)
        except self.CollectError as error:
            if any(f"No module named '{package}" in str(error) for package in PACKAGES):
                pytest.skip(REASON, allow_module_level=True)
            raise


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module:
    """A file of tests."""
    kind = _File if IS_LIGHT else pytest.Module
    module: pytest.Module = kind.from_parent(parent, path=module_path)
    return module


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, Any, Any]:
    """Fixtures that train or convert."""
    return (yield from _skipping())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, Any, Any]:
    """Tests that do."""
    return (yield from _skipping())


def skip_without_tensorflow(stderr: str) -> None:
    """Skip a test whose command was refused for want of TensorFlow."""
    if IS_LIGHT and "[train]" in stderr:
        pytest.skip(REASON)


def _skipping() -> Generator[None, Any, Any]:
    try:
        return (yield)
    except (MissingExtraError, ModuleNotFoundError) as error:
        missing = isinstance(error, MissingExtraError) or (error.name or "") in PACKAGES
        if IS_LIGHT and missing:
            pytest.skip(REASON)
        raise
