"""edge-melanoma doctor: what is installed, what runs, what is missing and how to get it."""

import json as json_format
import os
from importlib import metadata
from typing import Annotated, Any

import typer
from typer import Option

from edge_melanoma.machine.environment import cpu_name, package_version
from edge_melanoma.runtime.names import PACKAGE_OF_RUNTIME, Runtime

GIBIBYTE = 2**30
EXTRAS = ("train", "tflite-runtime", "test")


def command(
    json: Annotated[bool, Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Look at packages, interpreters, kernels, cores and memory."""
    findings = {
        "schema": 1,
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "packages": _packages(),
        "interpreters": {runtime.value: _interpreter(runtime) for runtime in Runtime},
    }
    typer.echo(json_format.dumps(findings, indent=2) if json else "\n".join(_lines(findings)))


def _packages() -> dict[str, dict[str, Any]]:
    """Every package that the project names, with its extra and installed version."""
    from packaging.requirements import Requirement

    found: dict[str, dict[str, Any]] = {}
    for requirement in map(Requirement, metadata.requires("edge-melanoma") or ()):
        name, marker = requirement.name, requirement.marker
        asked = [extra for extra in EXTRAS if marker and marker.evaluate({"extra": extra})]
        if marker and (not asked or marker.evaluate({"extra": ""})):
            continue
        extra = asked[0] if asked else None
        found.setdefault(name, {"version": package_version(name), "extra": extra})
    return found


def _interpreter(runtime: Runtime) -> dict[str, Any]:
    from edge_melanoma.runtime.classifiers import probe_runtime
    from edge_melanoma.runtime.interpreters import xnnpack_is_used

    reason = probe_runtime(runtime)
    return {
        "runs": reason is None,
        "reason": reason,
        "version": package_version(PACKAGE_OF_RUNTIME[runtime]),
        "kernels": "XNNPACK" if xnnpack_is_used(runtime) else "built-in",
    }


def _lines(findings: dict[str, Any]) -> list[str]:
    memory = findings["memory_bytes"] / GIBIBYTE
    lines = [f"{findings['cpu']}, {findings['cores']} cores, {memory:.1f} GiB of memory", ""]
    for name, interpreter in findings["interpreters"].items():
        state = f"runs, {interpreter['kernels']} kernels" if interpreter["runs"] else "does not run"
        why = f": {interpreter['reason']}" if interpreter["reason"] else ""
        lines.append(f"interpreter {name} {interpreter['version'] or ''}: {state}{why}")
    lines.append("")
    for name, package in findings["packages"].items():
        extra = f"edge-melanoma[{package['extra']}]" if package["extra"] else "edge-melanoma"
        missing = f"missing; pip install '{extra}'"
        lines.append(f"{name}: {package['version'] or missing}")
    return lines
