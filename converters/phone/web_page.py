"""The static page that scores photos in a browser: hand-written files, a model, LiteRT.js.

LiteRT.js, which runs .tflite files there, is taken as npm has it: pinned by version and hash.
"""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TypedDict

import platformdirs

from edge_melanoma.converters.phone import bundle
from edge_melanoma.data.crops import Crop
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import json_text, sha256_of, write_atomically
from edge_melanoma.machine.schemas import read_bounded, read_json
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

LARGEST_PART_BYTES = 64 * 2**20
LITERT_FILES = ("core.js", "wasm-utils.js", *(f"wasm/{name}" for name in WASM_FILES))
SHA256_OF_LITERT = (
    "e7daccc3a31eef890848a737ccb863ded5f046a6b40c3fdc0556495adeb5d9b3",
    "e0e20bc28ab001ac732cf40d15b6eebd24fb0deaeb95eeba5100f51eebf015f2",
    "68efb69f770e3f76aff36a377de629ca496c131b86ac0f0f4b592a1543a898eb",
    "7280cf4471774867e385e6c3cd53e2b45e2975b80fea338fff4ef359b0865614",
    "4d8f894b7883654fd6e8439730aa41e79ceaab7d19184fc4f1f0b0f1a2a2c8a5",
    "5255c8ad06eabdbd2522cdebf6b22fc10faf74625c23a49b9e072570cd1fa41c",
)
"""Of each file that is taken, as the pinned packages have it."""
LITERT_SHA256 = dict(zip(LITERT_FILES, SHA256_OF_LITERT, strict=True))


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
    written = bundle.bundle_files(run, model, float16=float16, crop=Crop.NONE, gates_twin=True)
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


class Package(TypedDict):
    """package.json of npm."""

    version: str


def read_litert(modules: Path | None = None) -> dict[str, bytes]:
    """The files of LiteRT.js by their path below litert/.

    `modules` is a node_modules folder that holds it; without it npm fetches the pinned packages
    once into the user's cache, where each archive has to have the hash of the lock file.

    Raises:
        EdgeMelanomaError: npm is missing or fails, or the folder holds another version or other
            files than those of the version, whoever fetched them.
    """
    folder = _fetch() if modules is None else modules
    for package, version in pinned_versions().items():
        path = folder / package / "package.json"
        found = read_json(path, Package).get("version") if path.is_file() else None
        if found != version:
            raise EdgeMelanomaError(
                f"{folder} holds {package} {found or 'not at all'}; expected {version}, as "
                f"npm ci with {WEB_SOURCES / LOCK} installs it."
            )
    files = {
        "core.js": folder / CORE / "dist/index.js",
        "wasm-utils.js": folder / UTILS / "dist/index.js",
        **{f"wasm/{name}": folder / CORE / "wasm" / name for name in WASM_FILES},
    }
    found = {name: read_bounded(path, most=LARGEST_PART_BYTES) for name, path in files.items()}
    for name, path in files.items():
        if sha256_of(found[name]) != LITERT_SHA256[name]:
            raise EdgeMelanomaError(
                f"{path} is not the file that the page was made for (its sha256 differs); install "
                f"it again, as npm ci with {WEB_SOURCES / LOCK} does."
            )
    core = found["core.js"].decode("utf-8").replace(IMPORT, LOCAL_IMPORT)
    return found | {"core.js": core.encode()}


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
