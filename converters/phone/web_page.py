"""The static page that scores photos in a browser: hand-written files, a model, LiteRT.js."""

import json
from collections.abc import Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath

from edge_melanoma.converters.phone import layout
from edge_melanoma.converters.phone.bundle import (
    bundle_files,
    choose_int8_export,
    find_run_to_bundle,
)
from edge_melanoma.converters.phone.litert_js import read_litert
from edge_melanoma.converters.phone.twins import find_or_convert_float16
from edge_melanoma.data.crops import Crop
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import json_text, sha256_of, write_atomically
from edge_melanoma.machine.terminal import TerminalReporter
from edge_melanoma.runs.folders import refuse_unwritable

WEB = "web/"
NOT_SERVED = frozenset({f"{WEB}package.json", f"{WEB}package-lock.json"})
LICENCES = ("LICENSE", layout.NOTICE)
SERVICE_WORKER = "service-worker.js"

HOST = "127.0.0.1"
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""That of the page itself, and that nobody may put it into a frame."""


def page_of_run(
    folder: Path | None, out: Path, *, with_map: bool, litert: Path | None, force: bool
) -> dict[str, bytes]:
    """Write the page of a run, or of the model in the package, and give its files by path.

    `litert` is a node_modules folder with LiteRT.js, see `read_litert`.

    Raises:
        EdgeMelanomaError: the folder holds files already and `force` is off; what `bundle_files`
            and `read_litert` raise.
    """
    layout.refuse_full_folder(out, what="page", force=force)
    refuse_unwritable(out / "index.html")
    run, reporter = find_run_to_bundle(folder), TerminalReporter()
    model = choose_int8_export(run, None)
    reporter.say("Getting LiteRT.js")
    modules = read_litert(litert)
    reporter.say(f"Writing the page of {run.folder}")
    float16 = find_or_convert_float16(run, with_map=True) if with_map else None
    bundle = bundle_files(run, model, float16=float16, crop=Crop.NONE)
    files = page_files(bundle, modules, with_map=with_map)
    for name, data in files.items():
        write_atomically(out / name, data)
    return files


def page_files(
    bundle: Mapping[str, bytes], litert: Mapping[str, bytes], *, with_map: bool
) -> dict[str, bytes]:
    """Every file of the page by its path, from those of a bundle and of LiteRT.js.

    The uint8 model, as LiteRT.js refuses int8 inputs; with the map the float16 model.
    """
    model = layout.FLOAT16 if with_map else layout.UINT8
    name = PurePosixPath(model).name
    served = [path for path in bundle if path.startswith(WEB) and path not in NOT_SERVED]
    files = {
        **{path.removeprefix(WEB): bundle[path] for path in served},
        **{path: bundle[path] for path in LICENCES},
        **{f"litert/{path}": data for path, data in litert.items()},
        f"model/{name}": bundle[model],
        "model/model_info.json": bundle[layout.MODEL_INFO_FILE],
        "site.json": json_text({"schema": 1, "model": name}).encode(),
    }
    return files | {"files.js": _list_files(files)}


def make_server(folder: Path, *, port: int) -> ThreadingHTTPServer:
    """A server of a folder for this machine alone, bound and not yet running; port 0: a free one.

    Raises:
        EdgeMelanomaError: the port cannot be had.
    """
    try:
        return ThreadingHTTPServer((HOST, port), partial(_PageHandler, directory=str(folder)))
    except (OSError, OverflowError) as error:
        raise EdgeMelanomaError(
            f"--port {port} cannot be used ({error}); give another one, or 0 for any."
        ) from error


class _PageHandler(SimpleHTTPRequestHandler):
    """Files with the types that browsers insist on, and without a word on stderr."""

    extensions_map = {  # noqa: RUF012 - declared so by the library
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".wasm": "application/wasm",
        ".webmanifest": "application/manifest+json",
        ".tflite": "application/octet-stream",
    }

    def end_headers(self) -> None:
        """With the policy, and without anything kept by the browser on its own."""
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the page's address was said, and no more is of interest."""


def _list_files(files: Mapping[str, bytes]) -> bytes:
    """What the service worker keeps at once, and a version that changes with any file.

    The WebAssembly is left out: the browser takes one of two kinds, and the page tells which.
    """
    hashes = {name: sha256_of(data) for name, data in sorted(files.items())}
    version = sha256_of(json_text(hashes).encode())[:16]
    left_out = ("litert/wasm/", SERVICE_WORKER)
    kept = ["./", *(name for name in hashes if not name.startswith(left_out))]
    return (
        f"self.SITE_VERSION = {json.dumps(version)};\n"
        f"self.SITE_FILES = {json.dumps(kept, indent=2)};\n"
    ).encode()
