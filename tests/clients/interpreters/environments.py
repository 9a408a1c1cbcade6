"""Python environments of the clients' own, made once, and commands run in them."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from client_bundle import BUILD

from edge_melanoma.errors import EdgeMelanomaError

INSTALL_SECONDS = 900
RUN_SECONDS = 900


def environment(name: str, requirements: Sequence[str]) -> Path:
    """The Python of a virtual environment below build/clients with just these requirements.

    Raises:
        EdgeMelanomaError: they cannot be installed.
    """
    folder = BUILD / name
    stamp, wanted = folder / "requirements.json", json.dumps(list(requirements))
    python = folder / "bin/python"
    if not stamp.is_file() or stamp.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        run_command([sys.executable, "-m", "venv", str(folder)], seconds=INSTALL_SECONDS)
        install = [str(python), "-m", "pip", "install", "--quiet", *requirements]
        run_command(install, seconds=INSTALL_SECONDS)
        stamp.write_text(wanted)
    return python


def run_command(command: Sequence[str], *, seconds: int = RUN_SECONDS, **options: Any) -> str:
    """What a command writes to standard output.

    Raises:
        EdgeMelanomaError: it failed, or took too long; with the last line of what it complained.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=False, **options
        )
    except subprocess.TimeoutExpired as error:
        raise EdgeMelanomaError(f"{command[0]} took more than {seconds} seconds.") from error
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise EdgeMelanomaError(
            f"{' '.join(command[:4])} ... failed: {lines[-1] if lines else 'without a word'}"
        )
    return str(done.stdout)


def refuse_missing(client: str, packages: dict[str, str]) -> None:
    """Say in one sentence which programs of Debian's packages are missing here.

    Raises:
        EdgeMelanomaError: one is.
    """
    missing = [program for program in packages if shutil.which(program) is None]
    if missing:
        needed = " ".join(dict.fromkeys(packages[program] for program in missing))
        raise EdgeMelanomaError(
            f"The client {client} needs {', '.join(missing)}; on Debian: apt-get install {needed}."
        )
