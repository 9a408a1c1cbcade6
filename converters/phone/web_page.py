"""The static page that scores photos in a browser: hand-written files, a model, LiteRT.js.

LiteRT.js, which runs .tflite files there, is taken as npm has it: pinned by version and hash.
"""

import json
import shutil
import subprocess
from collections.abc import Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath

import platformdirs

from edge_melanoma.converters.phone import bundle
from edge_melanoma.data.crops import Crop
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import json_text, read_json, sha256_of, write_atomically
from edge_melanoma.machine.terminal import TerminalReporter
from edge_melanoma.runs.folders import refuse_unwritable

LOCK = "package-lock.json"
INSTALL_SECONDS = 600
INSTALLED = "installed.json"

WEB_SOURCES = bundle.SOURCES / "web"
CORE, UTILS = "@litertjs/core", "@litertjs/wasm-utils"

IMPORT, LOCAL_IMPORT = f'"{UTILS}"', '"./wasm-utils.js"'
"""A page without a bundler finds modules by path alone."""

WASM_FILES = tuple(
    f"litert_wasm_{kind}internal.{ending}" for kind in ("", "compat_") for ending in ("js", "wasm")
)
"""For browsers of today and for older ones; one of the two is loaded."""

WEB = "web/"
NOT_SERVED = frozenset({f"{WEB}package.json", f"{WEB}package-lock.json"})
LICENCES = ("LICENSE", bundle.NOTICE)
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
    """
    bundle.refuse_full_folder(out, what="page", force=force)
    refuse_unwritable(out / "index.html")
    run, reporter = bundle.find_run_to_bundle(folder), TerminalReporter()
    model = bundle.choose_int8_export(run, None)
    reporter.say("Getting LiteRT.js")
    modules = read_litert(litert)
    reporter.say(f"Writing the page of {run.folder}")
    float16 = bundle.find_or_convert_float16(run, with_map=True) if with_map else None
    written = bundle.bundle_files(run, model, float16=float16, crop=Crop.NONE)
    # LiteRT.js refuses int8 inputs.
    model_file = bundle.FLOAT16 if with_map else bundle.UINT8
    name = PurePosixPath(model_file).name
    served = [path for path in written if path.startswith(WEB) and path not in NOT_SERVED]
    files = {
        **{path.removeprefix(WEB): written[path] for path in served},
        **{path: written[path] for path in LICENCES},
        **{f"litert/{path}": data for path, data in modules.items()},
        f"model/{name}": written[model_file],
        "model/model_info.json": written[bundle.MODEL_INFO_FILE],
        "site.json": json_text({"schema": 1, "model": name}).encode(),
    }
    files["files.js"] = _list_files(files)
    for path, data in files.items():
        write_atomically(out / path, data)
    return files


def read_litert(modules: Path | None = None) -> dict[str, bytes]:
    """The files of LiteRT.js by their path below litert/.

    `modules` is a node_modules folder that holds it; without it npm fetches the pinned packages
    once into the user's cache, where each archive has to have the hash of the lock file.

    Raises:
        EdgeMelanomaError: npm is missing or fails, or the folder holds another version or none.
    """
    folder = _fetch() if modules is None else modules
    for package, version in pinned_versions().items():
        path = folder / package / "package.json"
        found = read_json(path).get("version") if path.is_file() else None
        if found != version:
            raise EdgeMelanomaError(
                f"{folder} holds {package} {found or 'not at all'}; expected {version}, as "
                f"npm ci with {WEB_SOURCES / LOCK} installs it."
            )
    core = (folder / CORE / "dist/index.js").read_text(encoding="utf-8")
    if core.count(IMPORT) != 1:
        raise EdgeMelanomaError(f"{folder / CORE} is not the package that the page is written for.")
    return {
        "core.js": core.replace(IMPORT, LOCAL_IMPORT).encode(),
        "wasm-utils.js": (folder / UTILS / "dist/index.js").read_bytes(),
        **{f"wasm/{name}": (folder / CORE / "wasm" / name).read_bytes() for name in WASM_FILES},
    }


def pinned_versions() -> Mapping[str, str]:
    """The version of each package in the lock file."""
    packages = read_json(WEB_SOURCES / LOCK)["packages"]
    return {name: packages[f"node_modules/{name}"]["version"] for name in (CORE, UTILS)}


def install_locked(sources: Path, folder: Path) -> Path:
    """The node_modules below `folder` that the lock file in `sources` asks for, installed once.

    A copy of the lock file marks the end of an installation: one that failed is begun anew.

    Raises:
        EdgeMelanomaError: npm cannot get a package, or its content is not the pinned one.
    """
    pinned, installed = (sources / LOCK).read_bytes(), folder / INSTALLED
    if not installed.is_file() or installed.read_bytes() != pinned:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in ("package.json", LOCK):
            shutil.copyfile(sources / name, folder / name)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise EdgeMelanomaError(f"npm ci took more than {INSTALL_SECONDS} seconds.") from error
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            raise EdgeMelanomaError(f"npm ci failed: {lines[0] if lines else 'without a word'}.")
        installed.write_bytes(pinned)
    return folder / "node_modules"


def make_server(folder: Path, *, port: int) -> ThreadingHTTPServer:
    """A server of a folder for this machine alone, bound, not yet running; port 0: a free one."""
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


def _fetch() -> Path:
    lock = sha256_of((WEB_SOURCES / LOCK).read_bytes())
    folder = Path(platformdirs.user_cache_dir("edge-melanoma")) / f"litert-js-{lock[:16]}"
    if not (folder / INSTALLED).is_file() and shutil.which("npm") is None:
        raise EdgeMelanomaError(
            "The page needs LiteRT.js, which npm fetches, and npm is not installed; install it "
            "(Debian: apt-get install npm), or give a node_modules folder with --litert."
        )
    try:
        return install_locked(WEB_SOURCES, folder)
    except EdgeMelanomaError as error:
        raise EdgeMelanomaError(
            f"LiteRT.js cannot be fetched: {error} Give a node_modules folder that holds it with "
            f"--litert."
        ) from error
