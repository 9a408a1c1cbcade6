"""LiteRT.js, which runs .tflite files in a browser, as npm has it: pinned by version and hash."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import platformdirs

from edge_melanoma.converters.phone.layout import SOURCES
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import read_json, sha256_of

LOCK = "package-lock.json"
INSTALL_SECONDS = 600
INSTALLED = "installed.json"

WEB_SOURCES = SOURCES / "web"
CORE, UTILS = "@litertjs/core", "@litertjs/wasm-utils"

IMPORT, LOCAL_IMPORT = f'"{UTILS}"', '"./wasm-utils.js"'
"""A page without a bundler finds modules by path alone."""

WASM_FILES = tuple(
    f"litert_wasm_{kind}internal.{ending}" for kind in ("", "compat_") for ending in ("js", "wasm")
)
"""For browsers of today and for older ones; one of the two is loaded."""


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
        _run_npm(folder)
        installed.write_bytes(pinned)
    return folder / "node_modules"


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


def _run_npm(folder: Path) -> None:
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
