"""Plain arrays from files of weights: safetensors, or HDF5 as Keras saves weights in it.

Nothing is deserialised: models that Keras or pickle saved whole can run code when they are loaded,
and are refused. The architecture comes from `recipes`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_melanoma.errors import EdgeMelanomaError

LARGEST_WEIGHTS_BYTES = 512 * 2**20
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
EXPECTED = "expected weights alone, as .safetensors or as HDF5 by Keras' save_weights"

Arrays = dict[str, NDArray[np.float32]]


def read_weights_file(path: Path) -> Arrays:
    """The arrays of a file as float32, by `layer/weight`.

    Raises:
        EdgeMelanomaError: no file, a whole model, one that leads to other files, or a broken one.
    """
    if path.is_dir():
        raise EdgeMelanomaError(
            f"The weights {path} are a folder, as a SavedModel is, which can run code when it is "
            f"loaded; {EXPECTED}."
        )
    if not path.is_file():
        raise EdgeMelanomaError(f"The weights {path} are not a regular file; {EXPECTED}.")
    if path.stat().st_size > LARGEST_WEIGHTS_BYTES:
        raise EdgeMelanomaError(
            f"The weights file {path} has {path.stat().st_size} bytes; at most "
            f"{LARGEST_WEIGHTS_BYTES} are read."
        )
    with path.open("rb") as stream:
        start = stream.read(len(HDF5_MAGIC))
    if path.suffix == ".safetensors":
        return read_safetensors_bytes(path.read_bytes(), source=path)
    if start == HDF5_MAGIC:
        return _read_hdf5(path)
    kind = "a ZIP archive, as .keras models are," if start.startswith(b"PK") else "no HDF5 file"
    risk = " and can run code when it is loaded" if start.startswith(b"PK") else ""
    raise EdgeMelanomaError(f"The weights file {path} is {kind}{risk}; {EXPECTED}.")


def read_safetensors_bytes(data: bytes, *, source: Path) -> Arrays:
    """The arrays as float32 whatever they are stored as.

    Raises:
        EdgeMelanomaError: the bytes are broken.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(data)
    except (SafetensorError, KeyError, ValueError) as error:
        raise EdgeMelanomaError(
            f"The weights file {source} is no readable safetensors file: {error}."
        ) from error
    return {name: array.astype(np.float32, copy=False) for name, array in arrays.items()}


def _read_hdf5(path: Path) -> Arrays:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if "model_config" in file.attrs or "model_weights" in file:
                raise EdgeMelanomaError(
                    f"The weights file {path} is a whole Keras model, which can run code when it "
                    f"is loaded; {EXPECTED}."
                )
            found = dict(_datasets(file, path))
            # A dataset of a few bytes can say that it holds terabytes of one number.
            needed = sum(4 * item.size for item in found.values())
            if needed > LARGEST_WEIGHTS_BYTES:
                raise EdgeMelanomaError(
                    f"The weights file {path} unpacks to {needed} bytes; at most "
                    f"{LARGEST_WEIGHTS_BYTES} are read."
                )
            return {name: np.asarray(item, dtype=np.float32) for name, item in found.items()}
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise EdgeMelanomaError(
            f"The weights file {path} is no readable HDF5 file: {error}; {EXPECTED}."
        ) from error


def _datasets(file: Any, path: Path) -> Iterator[tuple[str, Any]]:
    """Every dataset by its name below its layer, none of which lies in another file."""
    import h5py

    links: dict[str, Any] = {}
    file.visititems_links(links.__setitem__)
    if not all(isinstance(link, h5py.HardLink) for link in links.values()):
        raise EdgeMelanomaError(
            f"The weights file {path} links to other places or files; expected plain arrays."
        )
    for place in links:
        _, below, name = place.partition("/")
        item = file[place]
        if not below or not isinstance(item, h5py.Dataset):
            continue
        if item.external or item.is_virtual or item.dtype.kind != "f":
            raise EdgeMelanomaError(
                f"The weights file {path} holds {name}, whose numbers are no floats in the "
                f"file itself; expected plain arrays."
            )
        yield name.removesuffix(":0"), item
