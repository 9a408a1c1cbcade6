"""Plain arrays from files of weights: safetensors, and all that Keras saves weights in.

Nothing is deserialised: a model that Keras or pickle saved whole can run code when it is loaded.
Of a whole Keras model its arrays are read, and its configuration as the text that it is; see
`keras_models`. The architecture comes from `recipes`.
"""

import io
import json
import math
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.processes import run_limited

IMAGENET_FILE = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
IMAGENET_WEIGHTS_HELP = (
    f"download {IMAGENET_FILE} on another machine "
    "and pass it with --weights PATH, or train from random weights with --weights none"
)
LARGEST_WEIGHTS_BYTES = 512 * 2**20
READING_SECONDS = 60.0
LARGEST_CONFIG_BYTES = 16 * 2**20
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
EXPECTED = "expected a .safetensors, .h5, .weights.h5 or .keras file"
CONFIG_MEMBER, WEIGHTS_MEMBER = "config.json", "model.weights.h5"
MODELS = frozenset({"Sequential", "Functional", "Model"})
"""Layers that are made of layers."""

BLOCKS = [(f"block_{number}", ("expand", "depthwise", "project")) for number in range(1, 17)]
INNER = [
    f"{block}_{step}"
    for block, steps in [("expanded_conv", ("depthwise", "project")), *BLOCKS]
    for step in steps
]
NAMES_BY_KIND = {
    "conv2d": ["Conv1", *(name for name in INNER if not name.endswith("depthwise")), "Conv_1"],
    "depthwise_conv2d": [name for name in INNER if name.endswith("depthwise")],
    "batch_normalization": ["bn_Conv1", *(f"{name}_BN" for name in INNER), "Conv_1_bn"],
}
"""MobileNetV2's layers with weights, as Keras counts them where a file has no names."""

WEIGHTS_BY_KIND = {
    "conv2d": ("kernel", "bias"),
    "depthwise_conv2d": ("depthwise_kernel", "bias"),
    "dense": ("kernel", "bias"),
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
}
NUMBERED = re.compile(
    r"(?P<layer>(?:.*/)?(?P<kind>[^/]+?)(?:_(?P<number>\d+))?)/vars/(?P<place>\d+)"
)
"""The place of an array in what Keras has written since 2023: by class and number, not by name."""

NOT_OF_LAYERS = re.compile(r"(^|/)(_?optimizer|optimizer_weights|seed_generator|metrics)\b")

Arrays = dict[str, NDArray[np.floating[Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsFile:
    """Arrays as float32, by `layer/weight`, and the configuration of a Keras model, if any."""

    arrays: Arrays
    config: Mapping[str, Any] | None = None


def read_weights_file(path: Path) -> WeightsFile:
    """What a file of weights, or a whole Keras model, holds.

    Raises:
        EdgeMelanomaError: no file, one that leads to other files, a broken one, or numbers that are
            not finite.
    """
    if path.is_dir():
        raise EdgeMelanomaError(
            f"The weights {path} are a folder, as a SavedModel is, which can run code when it is "
            f"loaded; {EXPECTED}."
        )
    if not path.exists():
        raise EdgeMelanomaError(f"There is no weights file {path}; {IMAGENET_WEIGHTS_HELP}.")
    if not path.is_file():
        raise EdgeMelanomaError(f"The weights {path} are not a regular file; {EXPECTED}.")
    if path.stat().st_size > LARGEST_WEIGHTS_BYTES:
        raise EdgeMelanomaError(
            f"The weights file {path} has {path.stat().st_size} bytes; at most "
            f"{LARGEST_WEIGHTS_BYTES} are read."
        )
    what = f"The weights file {path}"
    file = run_limited(_read_here, path, what=what, seconds=READING_SECONDS)
    arrays = {name: array.astype(np.float32, copy=False) for name, array in file.arrays.items()}
    return replace(file, arrays=arrays)


def _read_here(path: Path) -> WeightsFile:
    """In a child, with limits of memory and time: HDF5 is large, and the file may be anybody's."""
    data = path.read_bytes()
    if path.suffix == ".safetensors":
        return WeightsFile(arrays=_read_safetensors(data, path))
    if data.startswith(b"PK"):
        config, data = _unzip(data, path)
        return _read_hdf5(data, path, config)
    if data.startswith(HDF5_MAGIC):
        return _read_hdf5(data, path, None)
    raise EdgeMelanomaError(f"The weights file {path} is no HDF5 file; {EXPECTED}.")


def _read_safetensors(data: bytes, source: Path) -> Arrays:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(data)
    except (SafetensorError, KeyError, ValueError) as error:
        raise EdgeMelanomaError(
            f"The weights file {source} is no readable safetensors file: {error}."
        ) from error
    return _as_finite(arrays, source)


def layers_in(model: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The configurations of the layers of a Sequential or Functional one."""
    config = model["config"]
    return list(config["layers"] if isinstance(config, Mapping) else config)


def _as_finite(arrays: Mapping[str, Any], source: Path) -> Arrays:
    """At most as float32; one NaN would give a network that calls every picture the same."""
    found: Arrays = {
        name: np.asarray(array, np.float16 if array.dtype == np.float16 else np.float32)
        for name, array in arrays.items()
    }
    for name, array in found.items():
        if not np.isfinite(array).all():
            raise EdgeMelanomaError(
                f"The weights file {source} holds numbers in {name} that are not finite (NaN or "
                f"infinite), as a training that diverged leaves them; save the weights of an "
                f"earlier epoch."
            )
    return found


def _unzip(data: bytes, path: Path) -> tuple[Mapping[str, Any], bytes]:
    """Configuration and weights out of a .keras archive, in memory."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sizes = {member.filename: member.file_size for member in archive.infolist()}
            limits = {CONFIG_MEMBER: LARGEST_CONFIG_BYTES, WEIGHTS_MEMBER: LARGEST_WEIGHTS_BYTES}
            for name, limit in limits.items():
                if not sizes[name] <= limit:
                    raise EdgeMelanomaError(
                        f"{name} in {path} unpacks to {sizes[name]} bytes; at most {limit} are "
                        f"read."
                    )
            return _parse(archive.read(CONFIG_MEMBER)), archive.read(WEIGHTS_MEMBER)
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, ValueError) as error:
        raise EdgeMelanomaError(
            f"The weights file {path} is no readable .keras archive: {error}; {EXPECTED}."
        ) from error


def _parse(text: str | bytes) -> Mapping[str, Any]:
    config = json.loads(text)
    if not isinstance(config, dict):
        raise ValueError("its configuration is no JSON object")
    return config


def _read_hdf5(data: bytes, path: Path, config: Mapping[str, Any] | None) -> WeightsFile:
    import h5py

    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            if "model_config" in file.attrs:
                config = _parse(file.attrs["model_config"])
            found = dict(_datasets(file, path, config))
            # A dataset of a few bytes can say that it holds terabytes of one number.
            needed = sum(map(_bytes_to_read, found.values()))
            if needed > LARGEST_WEIGHTS_BYTES:
                raise EdgeMelanomaError(
                    f"The weights file {path} unpacks to {needed} bytes; at most "
                    f"{LARGEST_WEIGHTS_BYTES} are read."
                )
            return WeightsFile(arrays=_as_finite(found, path), config=config)
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise EdgeMelanomaError(
            f"The weights file {path} is no readable HDF5 file: {error}; {EXPECTED}."
        ) from error


def _bytes_to_read(item: Any) -> int:
    """As it is stored, or the chunk by which it is unpacked: that may be larger."""
    return int(max(item.size, math.prod(item.chunks or ())) * item.dtype.itemsize)


def _datasets(file: Any, path: Path, config: Mapping[str, Any] | None) -> Iterator[tuple[str, Any]]:
    """Every dataset of a layer by its name, none of which lies in another file."""
    import h5py

    links: dict[str, Any] = {}
    file.visititems_links(links.__setitem__)
    if not all(isinstance(link, h5py.HardLink) for link in links.values()):
        raise EdgeMelanomaError(
            f"The weights file {path} links to other places or files; expected plain arrays."
        )
    names = dict(_names_of_places(config)) if config else {}
    for place in links:
        item = file[place]
        if "/" not in place or not isinstance(item, h5py.Dataset) or NOT_OF_LAYERS.search(place):
            continue
        name = _name_of(place, names, item.parent.attrs.get("name"))
        if item.external or item.is_virtual or item.dtype.kind != "f":
            raise EdgeMelanomaError(
                f"The weights file {path} holds {name}, whose numbers are no floats in the "
                f"file itself; expected plain arrays."
            )
        yield name, item


def _name_of(place: str, names: Mapping[str, str], stated: str | bytes | None) -> str:
    """`layer/weight` of a dataset: from its place, or where that has a number alone, by the number.

    `names` has the layers by place, from the configuration; `stated` is what Keras 3 writes.
    """
    numbered = NUMBERED.fullmatch(place)
    if numbered is None:
        name = "/".join(place.removesuffix(":0").split("/")[-2:])
        # As tf_keras calls it; to Keras 3 every kernel is a kernel.
        return name.replace("_depthwise/kernel", "_depthwise/depthwise_kernel")
    kind, number = numbered["kind"], int(numbered["number"] or 0)
    counted = NAMES_BY_KIND.get(kind, [])
    layer = names.get(numbered["layer"]) or (str(stated) if stated else None)
    if layer is None and number < len(counted):
        layer = counted[number]
    weights = WEIGHTS_BY_KIND.get(kind, ())
    weight = weights[int(numbered["place"])] if int(numbered["place"]) < len(weights) else place
    return f"{layer or numbered['layer'].rsplit('/', 1)[-1]}/{weight}"


def _names_of_places(model: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Where Keras keeps each layer's arrays, by class and number, and the layer's name."""
    counts: Counter[str] = Counter()
    for layer in layers_in(model):
        kind = _snake_case(layer["class_name"])
        place = f"{above}layers/{kind}" + (f"_{counts[kind]}" if counts[kind] else "")
        counts[kind] += 1
        if layer["class_name"] in MODELS:
            yield from _names_of_places(layer, f"{place}/")
        else:
            yield place, str(layer["config"].get("name"))


def _snake_case(name: str) -> str:
    """As Keras does it: DepthwiseConv2D becomes depthwise_conv2d."""
    apart = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", apart).lower()
