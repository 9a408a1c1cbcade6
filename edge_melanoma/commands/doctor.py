"""edge-melanoma doctor: what is installed, what runs, what is missing and how to get it."""

import os
import platform
from importlib import metadata
from typing import Any

import typer

from edge_melanoma import __version__
from edge_melanoma.commands.options import JsonFile
from edge_melanoma.errors import install_command
from edge_melanoma.machine.environment import cpu_name, package_version
from edge_melanoma.machine.files import write_result
from edge_melanoma.machine.processes import stderr_discarded
from edge_melanoma.runtime.names import PACKAGE_OF_RUNTIME, Runtime

GIBIBYTE = 2**30
EXTRAS = ("train", "litert", "ray", "tensorboard", "heif", "kaggle", "tflite-runtime")
"""Those of users; what developers need is their business."""


def command(
    json: JsonFile = None,
) -> None:
    """Show what this machine can do: packages, interpreters, kernels, cores, memory.

    Examples:
        edge-melanoma doctor
        edge-melanoma doctor --json doctor.json
    """
    findings = {
        "schema": 1,
        "version": __version__,
        "python": platform.python_version(),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "packages": _packages(),
        "interpreters": {runtime.value: _interpreter(runtime) for runtime in Runtime},
    }
    if not write_result(json, findings):
        typer.echo("\n".join(_lines(findings)))


def _packages() -> dict[str, dict[str, Any]]:
    """Every package that the project names, with its extra and installed version."""
    from packaging.requirements import Requirement

    found: dict[str, dict[str, Any]] = {}
    for requirement in map(Requirement, metadata.requires("edge-melanoma") or ()):
        name, marker = requirement.name, requirement.marker
        is_core = marker is None or marker.evaluate({"extra": ""})
        asked = [extra for extra in EXTRAS if marker and marker.evaluate({"extra": extra})]
        if is_core or asked:
            extra = None if is_core else asked[0]
            found.setdefault(name, {"version": package_version(name), "extra": extra})
    return found


def _interpreter(runtime: Runtime) -> dict[str, Any]:
    from edge_melanoma.runtime.interpreters import xnnpack_is_used
    from edge_melanoma.runtime.trial import probe_runtime

    with stderr_discarded():
        reason = probe_runtime(runtime)
    return {
        "runs": reason is None,
        "reason": reason,
        "version": package_version(PACKAGE_OF_RUNTIME[runtime]),
        "kernels": "XNNPACK" if xnnpack_is_used(runtime) else "built-in",
    }


def _lines(findings: dict[str, Any]) -> list[str]:
    memory = findings["memory_bytes"] / GIBIBYTE
    lines = [
        _verdict(findings),
        f"edge-melanoma {findings['version']}, Python {findings['python']}, {findings['cpu']}, "
        f"{findings['cores']} cores, {memory:.1f} GiB of memory",
        "",
    ]
    for name, interpreter in findings["interpreters"].items():
        state = f"runs, {interpreter['kernels']} kernels" if interpreter["runs"] else "does not run"
        why = f": {interpreter['reason']}" if interpreter["reason"] else ""
        lines.append(f"interpreter {name} {interpreter['version'] or ''}: {state}{why}")
    lines.append("")
    for name, package in findings["packages"].items():
        extra = package["extra"]
        missing = f"missing; {install_command(extra)}" if extra else "missing; install again"
        lines.append(f"{name}: {package['version'] or missing}")
    return lines


def _verdict(findings: dict[str, Any]) -> str:
    """What this machine can do, in a line."""
    packages = findings["packages"].values()
    lacking = {one["extra"] for one in packages if one["version"] is None}
    if None in lacking or not any(one["runs"] for one in findings["interpreters"].values()):
        return "This machine cannot score pictures: see what is missing or does not run below."
    if "train" in lacking:
        return f"Ready to score and bench; to train and export: {install_command('train')}"
    return "Ready to train, export, bench and score."
