"""The model that ships inside the package: a trained run of the recipe best, with its int8 file.

Its folder is laid out like any run folder. What a command would write into it (exports, benches)
goes to a copy in the working folder, since an installed package may be read-only.
"""

from pathlib import Path

import edge_melanoma
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import write_atomically
from edge_melanoma.machine.schemas import read_json
from edge_melanoma.runs import models
from edge_melanoma.runs.manifests import RunManifest

WORD = Path("bundled")
"""What a person writes instead of a run folder or a model file."""

COPY = Path("bundled-run")
"""Where exports and benches of it go; not below runs/, where the newest run is looked for."""

FOLDER = Path(edge_melanoma.__file__).with_name("bundled_run")
MODEL = Path("exports", "model_int8.tflite")


def find_run_or_bundled(folder: Path | None) -> models.TrainedModel:
    """As `find_run`, and for the word `bundled` a copy of the run in the package, to write into."""
    if is_bundled(folder):
        return models.open_run(_unpack())
    return models.find_run(folder)


def find_own_run(folder: Path | None) -> models.TrainedModel:
    """As `find_run`, for what needs the pictures that a run was trained on.

    Raises:
        EdgeMelanomaError: the word `bundled`, whose pictures do not come with the package; and as
            `find_run`.
    """
    if is_bundled(folder):
        raise EdgeMelanomaError(
            "This command needs the pictures that a run was trained on, and those of the model in "
            f"the package do not come with it. Its own card is {FOLDER / 'MODEL_CARD.md'}; for "
            "figures on your pictures: edge-melanoma evaluate bundled --data DIR"
        )
    return models.find_run(folder)


def is_bundled(path: Path | None) -> bool:
    """Whether a person means the model in the package: nothing of that name is here."""
    return path == WORD and not WORD.exists()


def bundled_model() -> Path:
    """The int8 .tflite file, its manifest beside it."""
    return _folder() / MODEL


def bundled_run() -> models.TrainedModel:
    """The run as it lies in the package: to read, not to write into."""
    return models.open_run(_folder())


def _folder() -> Path:
    if not (FOLDER / models.MANIFEST).is_file():
        raise EdgeMelanomaError(
            f"This copy of edge-melanoma holds no trained model ({FOLDER} is missing); "
            f"install the whole package, or name a run folder or a .tflite file."
        )
    return FOLDER


def _unpack() -> Path:
    """A copy of the run, made once, that commands may write into."""
    target = COPY
    if (target / models.MANIFEST).is_file():
        mine, theirs = (
            read_json(folder / models.MANIFEST, RunManifest)["files"].get(models.WEIGHTS)
            for folder in (target, _folder())
        )
        if mine == theirs:
            return target
        raise EdgeMelanomaError(
            f"{target} holds another model than the one in the package; move it away."
        )
    for path in sorted(_folder().rglob("*"), key=lambda path: path.name == models.MANIFEST):
        if path.is_file():
            write_atomically(target / path.relative_to(_folder()), path.read_bytes())
    return target
