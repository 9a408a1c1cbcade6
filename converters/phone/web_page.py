"""The static page that scores photos in a browser: hand-written files, a model, LiteRT.js."""

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from edge_melanoma.converters.phone.layout import (
    FLOAT16,
    MODEL_INFO_FILE,
    NOTICE,
    UINT8,
    refuse_full_folder,
)
from edge_melanoma.machine.files import json_text, sha256_of, write_atomically

WEB = "web/"
NOT_SERVED = frozenset({"package.json", "package-lock.json"})
LICENCES = ("LICENSE", NOTICE)
SERVICE_WORKER = "service-worker.js"


def page_files(
    bundle: Mapping[str, bytes], litert: Mapping[str, bytes], *, with_map: bool
) -> dict[str, bytes]:
    """Every file of the page by its path, from those of a bundle and of LiteRT.js.

    The uint8 model, as LiteRT.js refuses int8 inputs; with the map the float16 model.
    """
    model = FLOAT16 if with_map else UINT8
    name = PurePosixPath(model).name
    files = {
        path.removeprefix(WEB): data
        for path, data in bundle.items()
        if path.startswith(WEB) and path.removeprefix(WEB) not in NOT_SERVED
    }
    files |= {path: bundle[path] for path in LICENCES}
    files |= {f"litert/{path}": data for path, data in litert.items()}
    files |= {
        f"model/{name}": bundle[model],
        "model/model_info.json": bundle[MODEL_INFO_FILE],
        "site.json": json_text({"schema": 1, "model": name}).encode(),
    }
    return files | {"files.js": _list_files(files)}


def write_page(files: Mapping[str, bytes], folder: Path, *, force: bool) -> None:
    """Put the page into a folder.

    Raises:
        EdgeMelanomaError: the folder holds files already and `force` is off.
    """
    refuse_full_folder(folder, what="page", force=force)
    for name, data in files.items():
        write_atomically(folder / name, data)


def _list_files(files: Mapping[str, bytes]) -> bytes:
    """What the service worker keeps at once, and a version that changes with any file.

    The WebAssembly is left out: the browser takes one of two kinds, and the page tells which.
    """
    hashes = {name: sha256_of(data) for name, data in sorted(files.items())}
    version = sha256_of(json_text(hashes).encode())[:16]
    kept = [name for name in hashes if not name.startswith("litert/wasm/")]
    kept = ["./", *(name for name in kept if name != SERVICE_WORKER)]
    return (
        f"self.SITE_VERSION = {json.dumps(version)};\n"
        f"self.SITE_FILES = {json.dumps(kept, indent=2)};\n"
    ).encode()
