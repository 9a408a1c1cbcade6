"""One small run, trained and exported once for all tests that need one."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_melanoma import cli
from edge_melanoma.data.phantoms import write_phantoms
from edge_melanoma.network.recipes import Variant
from edge_melanoma.runs.models import TrainedModel, open_run

pytest_plugins = ["light_core"]
os.environ.pop("COLUMNS", None)  # the workers of xdist have it, which stands for a terminal
PHANTOMS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """What a command left: exit code, stdout and stderr."""

    exit_code: int
    stdout: str
    stderr: str


@pytest.fixture
def edge_melanoma(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., CommandResult]:
    """Run the command line in this process."""
    # Not above: pytest rewrites the assertions of a plugin that is not imported yet.
    from light_core import skip_without_tensorflow

    def run(*arguments: str | Path) -> CommandResult:
        monkeypatch.setattr(sys, "argv", ["edge-melanoma", *map(str, arguments)])
        code = 0
        try:
            cli.run()
        except SystemExit as stop:
            code = int(stop.code or 0)
        output, error = capfd.readouterr()
        skip_without_tensorflow(error)
        return CommandResult(exit_code=code, stdout=output, stderr=error)

    return run


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of generated pictures of both classes."""
    folder = tmp_path_factory.mktemp("data") / "phantoms"
    write_phantoms(folder, count=PHANTOMS, seed=1, size=None)
    return folder


@pytest.fixture(scope="session")
def trained_run(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """A frozen network without ImageNet weights, trained for two epochs on the phantoms."""
    from edge_melanoma.training.material import TrainingSettings
    from edge_melanoma.training.session import train_variants

    folder = tmp_path_factory.mktemp("runs")
    settings = TrainingSettings(variant=Variant.FROZEN, weights="none", epochs=2)
    (run,) = train_variants(
        [phantoms], [settings], out=folder / "run", cache_folder=folder / "cache"
    )
    return open_run(run)


@pytest.fixture(scope="session")
def exported_run(trained_run: TrainedModel) -> TrainedModel:
    """The same with float32, float16 and int8 files."""
    from edge_melanoma.commands.export import export_and_show
    from edge_melanoma.converters.settings import ExportSettings
    from edge_melanoma.tflite.modes import parse_modes

    export_and_show(
        trained_run.folder,
        parse_modes(["float16", "int8"]),
        settings=ExportSettings(calibration_images=20),
        force=False,
    )
    return trained_run


@pytest.fixture(scope="session")
def android_bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `android bundled` writes; not to be changed."""
    from edge_melanoma.converters.phone.bundle import bundle_files, choose_int8_export, write_bundle
    from edge_melanoma.data.crops import Crop
    from edge_melanoma.runs.bundled import bundled_run

    run, folder = bundled_run(), tmp_path_factory.mktemp("android") / "bundle"
    files = bundle_files(run, choose_int8_export(run, None), float16=None, crop=Crop.NONE)
    write_bundle(files, folder)
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder that EDGE_MELANOMA_DATA names."""
    return _path_from("EDGE_MELANOMA_DATA", purpose="real images")


@pytest.fixture(scope="session")
def real_weights() -> Path:
    """The ImageNet weights file that EDGE_MELANOMA_WEIGHTS names."""
    return _path_from("EDGE_MELANOMA_WEIGHTS", purpose="ImageNet weights")


def _path_from(variable: str, *, purpose: str) -> Path:
    value = os.environ.get(variable)
    if not value or not Path(value).exists():
        pytest.skip(f"{variable} does not name {purpose} on this machine")
    return Path(value)
