"""The machine and the versions that a result was made with."""

import os
import platform
import re
import shlex
import sys
from importlib import metadata
from pathlib import Path

from edge_melanoma import __version__

TRACED_PACKAGES = (
    "ai-edge-litert",
    "numpy",
    "pillow",
    "scikit-learn",
    "tensorflow",
    "tf-keras",
    "tensorflow-model-optimization",
    "tflite-runtime",
)


def describe_environment() -> dict[str, object]:
    """What a result may depend on: python, packages, processor, cores, thread settings."""
    return {
        "edge_melanoma": __version__,
        "python": platform.python_version(),
        "packages": {name: package_version(name) for name in TRACED_PACKAGES},
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        "command": shlex.join(["edge-melanoma", *map(portable_word, sys.argv[1:])]),
    }


def portable_path(path: str | Path, *, start: Path) -> str:
    """A path as files tell it that are handed on: from `start`, or its last name alone.

    Alone where the way leads through the root of the system, as an absolute path does, or through
    what the home of this user is called.
    """
    real = start.resolve()
    place = Path(os.path.relpath(Path(path).absolute(), real))
    leads_through_root = place.parts.count("..") >= len(real.parts) - 1
    if leads_through_root or {*place.parts} & {*Path.home().parts}:
        return Path(path).absolute().name
    return place.as_posix()


def portable_word(word: str) -> str:
    """A word of a command line, such as DIR, --option=DIR or NAME=DIR."""
    path = re.sub("^(?:[^/=]*=)*", "", word)
    return word.removesuffix(path) + portable_path(path, start=Path()) if "/" in path else word


def describe_determinism(seed: int) -> dict[str, object]:
    """What the same bits need beside the same data, settings and versions: they hold for these."""
    return {
        "op_determinism": True,
        "seed": seed,
        "threads": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        "cpu": cpu_name(),
    }


def package_version(name: str) -> str | None:
    """The installed version of a package, or none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def cpu_name() -> str:
    """The processor's name, as Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
