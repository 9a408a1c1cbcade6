"""Chromium, driven by Playwright from npm, which package-lock.json pins."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_melanoma.converters.phone.web_page import install_locked
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.schemas import read_json

HERE = Path(__file__).parent
DEBIAN_PACKAGES = {"chromium": "chromium", "node": "nodejs", "npm": "npm"}
SECONDS = 900


def refuse_missing_tools() -> None:
    """Say in one sentence what is missing on this machine.

    Raises:
        EdgeMelanomaError: something is.
    """
    missing = [name for name in DEBIAN_PACKAGES if shutil.which(name) is None]
    if missing:
        packages = " ".join(DEBIAN_PACKAGES[name] for name in missing)
        raise EdgeMelanomaError(
            f"The web client needs {', '.join(missing)}; on Debian: apt-get install {packages}."
        )


def install_driver(folder: Path) -> None:
    """Put the driver and the script into a folder, once for a version of the lock file.

    Raises:
        EdgeMelanomaError: npm cannot get the pinned package.
    """
    install_locked(HERE, folder)
    shutil.copyfile(HERE / "browser_run.mjs", folder / "browser_run.mjs")


def drive(folder: Path, plan: Mapping[str, Any]) -> dict[str, Any]:
    """What the browser saw when it followed a plan.

    Raises:
        EdgeMelanomaError: the page or the browser failed.
    """
    with tempfile.TemporaryDirectory() as place:
        told, result = Path(place) / "plan.json", Path(place) / "result.json"
        told.write_text(json.dumps({"chromium": shutil.which("chromium"), **plan}))
        _run(["node", "browser_run.mjs", str(told), str(result)], folder=folder)
        return read_json(result)


def _run(command: list[str], *, folder: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise EdgeMelanomaError(f"{command[0]} took more than {SECONDS} seconds.") from error
    if done.returncode:
        raise EdgeMelanomaError(f"{' '.join(command[:2])} failed:\n{done.stderr[-1500:]}")
