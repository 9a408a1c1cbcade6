"""Where a network's backbone starts from: ImageNet, a file of weights, or another run."""

import os
import socket
from pathlib import Path
from typing import Any

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import sha256_of_file
from edge_melanoma.machine.tensorflow import tf_keras
from edge_melanoma.network.network import (
    HIDDEN_LAYER,
    WeightArrays,
    arrays_of,
    assign_arrays,
    read_safetensors,
)
from edge_melanoma.network.recipes import NAMED_WEIGHTS
from edge_melanoma.network.weight_files import (
    IMAGENET_FILE,
    IMAGENET_WEIGHTS_HELP,
    read_weights_file,
)
from edge_melanoma.runs.bundled import WORD, bundled_run
from edge_melanoma.runs.models import TrainedModel
from edge_melanoma.tflite.quantization import SCORE_NAME

IMAGENET_BYTES = 9_406_464
"""Keras publishes no hash of this file: its length, the name of its server and the names and shapes
of its arrays are what can be checked. The hash of what was used goes to the run's manifest."""
DOWNLOAD_TIMEOUT_SECONDS = 20.0


def load_backbone_weights(network: Any, weights: str) -> None:
    """Start the backbone from `imagenet`, `none` (random, batch-norm calibrated later) or a file.

    From `bundled`, the model in the package, the head starts too where the network has the same.

    Raises:
        EdgeMelanomaError: no such file, it does not fit, or ImageNet weights cannot be downloaded.
    """
    if weights == "none":
        return
    if weights == str(WORD):
        run = bundled_run()
        arrays, present = read_safetensors(run), arrays_of(network)
        assign = assign_arrays if _shapes(arrays) == _shapes(present) else _assign_backbone
        assign(network, arrays, source=run.weights_path)
        return
    path = _download_imagenet() if weights == "imagenet" else Path(weights)
    _assign_backbone(network, read_weights_file(path).arrays, source=path)


def refuse_missing_weights(weights: str) -> None:
    """Before a long training: a file is there, and ImageNet weights are, or can be downloaded.

    Raises:
        EdgeMelanomaError: they cannot be had.
    """
    if weights == "imagenet":
        cached_imagenet_weights() or _download_imagenet()
    elif weights not in NAMED_WEIGHTS and not Path(weights).is_file():
        raise EdgeMelanomaError(f"There is no weights file {weights}; {IMAGENET_WEIGHTS_HELP}.")


def copy_backbone(network: Any, run: TrainedModel) -> None:
    """Start the backbone as that of a run, which may be longer.

    Raises:
        EdgeMelanomaError: a weight is missing in the run.
    """
    _assign_backbone(network, read_safetensors(run), source=run.weights_path)


def describe_weights(weights: str) -> dict[str, str | None]:
    """What a network started from, with the hash of the file, for the manifest of its run."""
    if weights == str(WORD):
        return {"name": weights, "sha256": bundled_run().sha256}
    path = cached_imagenet_weights() if weights == "imagenet" else Path(weights)
    if path is None or not path.is_file():
        return {"name": weights, "sha256": None}
    name = weights if weights == "imagenet" else path.name
    return {"name": name, "sha256": sha256_of_file(path)}


def cached_imagenet_weights() -> Path | None:
    """Where Keras keeps its ImageNet weights on this machine, or none if it has not got them."""
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    path = home / "models" / IMAGENET_FILE
    return path if path.is_file() else None


def _download_imagenet() -> Path:
    """Keras' file, downloaded where it is not here yet.

    Raises:
        EdgeMelanomaError: it cannot be had, or is another one.
    """
    module = tf_keras.applications.mobilenet_v2
    previous = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT_SECONDS)
    try:
        url = module.BASE_WEIGHT_PATH + IMAGENET_FILE
        path = Path(tf_keras.utils.get_file(IMAGENET_FILE, url, cache_subdir="models"))
    except Exception as error:
        # get_file raises a bare Exception with the URL's failure; any failure means "not had".
        raise EdgeMelanomaError(
            f"The ImageNet weights cannot be downloaded; {IMAGENET_WEIGHTS_HELP}."
        ) from error
    finally:
        socket.setdefaulttimeout(previous)
    if path.stat().st_size != IMAGENET_BYTES:
        raise EdgeMelanomaError(
            f"{path} has {path.stat().st_size} bytes instead of the {IMAGENET_BYTES} of Keras' "
            f"ImageNet weights; remove it, or name a file of your own with --weights PATH."
        )
    return path


def _shapes(arrays: WeightArrays) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in arrays.items()}


def _assign_backbone(network: Any, arrays: WeightArrays, *, source: Path) -> None:
    """The head stays; what `arrays` hold of layers that the network has not got is not used."""
    present = arrays_of(network)
    kept = {name for name in present if name.split("/")[0] in {HIDDEN_LAYER, SCORE_NAME}}
    fitting = {name: array for name, array in arrays.items() if name in present}
    assign_arrays(network, fitting | {name: present[name] for name in kept}, source=source)
