"""One small run, trained and exported once for all tests that need one."""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from made import made_once

from edge_melanoma import cli
from edge_melanoma.data.phantoms import write_phantoms
from edge_melanoma.network.recipes import Variant
from edge_melanoma.runs.models import TrainedModel, open_run

pytest_plugins = ["light_core"]
os.environ.pop("COLUMNS", None)  # the workers of xdist have it, which stands for a terminal
PHANTOMS = 80
SHARED = {"trained_run", "exported_run"}
"""What is made once, by whoever needs it first, while the others wait."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One file makes the export; meanwhile those run that need none, and then the others."""
    needs = {item.path: set[str]() for item in items}
    for item in items:
        needs[item.path] |= SHARED.intersection(getattr(item, "fixturenames", ()))
    maker = next((path for path, needed in needs.items() if "exported_run" in needed), None)
    items.sort(key=lambda item: (item.path != maker, bool(needs[item.path])))


@pytest.fixture(scope="session", autouse=True)
def _own_state(shared_folder: Path) -> None:
    """What is kept of this user's own runs is kept apart from those of the tests."""
    os.environ["XDG_STATE_HOME"] = str(shared_folder / "state")


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
        monkeypatch.setenv("EDGE_MELANOMA_VERBOSITY", "NORMAL")
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
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all test processes; what lies in it is not to be changed."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def phantoms(shared_folder: Path) -> Path:
    """A folder of generated pictures of both classes."""

    def write(folder: Path) -> None:
        write_phantoms(folder, count=PHANTOMS, seed=1, size=None)

    return made_once(shared_folder / "phantoms", write)


@pytest.fixture(scope="session")
def trained_run(phantoms: Path, shared_folder: Path) -> TrainedModel:
    """A frozen network without ImageNet weights, trained for two epochs on the phantoms."""
    from edge_melanoma.training.material import TrainingSettings
    from edge_melanoma.training.session import train_variants

    def train(folder: Path) -> None:
        settings = TrainingSettings(variant=Variant.FROZEN, weights="none", epochs=2)
        train_variants([phantoms], [settings], out=folder, cache_folder=shared_folder / "cache")

    return open_run(made_once(shared_folder / "run", train))


@pytest.fixture(scope="session")
def exported_run(trained_run: TrainedModel, shared_folder: Path) -> TrainedModel:
    """The same with float32, float16 and int8 files."""
    from edge_melanoma.commands.export import export_and_show
    from edge_melanoma.converters.settings import ExportSettings
    from edge_melanoma.tflite.modes import parse_modes

    def export(folder: Path) -> None:
        shutil.copytree(trained_run.folder, folder)
        settings = ExportSettings(calibration_images=20)
        export_and_show(folder, parse_modes(["float16", "int8"]), settings=settings, force=False)

    return open_run(made_once(shared_folder / "exported_run", export))


@pytest.fixture(scope="session")
def android_bundle_folder(shared_folder: Path) -> Path:
    """What `android bundled` writes; not to be changed."""
    from edge_melanoma.converters.phone.bundle import bundle_files, choose_int8_export, write_bundle
    from edge_melanoma.data.crops import Crop
    from edge_melanoma.runs.bundled import bundled_run

    def write(folder: Path) -> None:
        run = bundled_run()
        int8 = choose_int8_export(run, None)
        write_bundle(bundle_files(run, int8, float16=None, crop=Crop.NONE), folder)

    return made_once(shared_folder / "bundle", write)


@pytest.fixture(scope="session")
def ground(shared_folder: Path) -> Path:
    """A folder in which every command of the command line can run; not to be changed."""
    from every_command import prepare

    return made_once(shared_folder / "ground", prepare)


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
