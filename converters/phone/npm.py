"""Packages from npm, each pinned by version and hash in a package-lock.json."""

import shutil
import subprocess
from pathlib import Path

from edge_melanoma.errors import EdgeMelanomaError

LOCK = "package-lock.json"
INSTALL_SECONDS = 600


def install_locked(sources: Path, folder: Path) -> Path:
    """The node_modules below `folder` that the lock file in `sources` asks for, installed once.

    A copy of the lock file marks the end of an installation: one that failed is begun anew.

    Raises:
        EdgeMelanomaError: npm cannot get a package, or its content is not the pinned one.
    """
    pinned, installed = (sources / LOCK).read_bytes(), folder / "installed.json"
    if not installed.is_file() or installed.read_bytes() != pinned:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in ("package.json", LOCK):
            shutil.copyfile(sources / name, folder / name)
        _run_npm(folder)
        installed.write_bytes(pinned)
    return folder / "node_modules"


def _run_npm(folder: Path) -> None:
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EdgeMelanomaError(f"npm ci took more than {INSTALL_SECONDS} seconds.") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise EdgeMelanomaError(f"npm ci failed: {lines[0] if lines else 'without a word'}.")
