"""Compile the shipped Kotlin and run it on this machine: `make clients-kotlin`.

A JSON line a model says how its outputs compare with Python's; the same lines stand in
build/clients/kotlin.json. Exit code 1: something differs; 2: it cannot be run here.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from android_resources import read_resources, write_resource_class
from android_signatures import TYPINGS, unknown_to_android
from kotlin_comparison import MODELS, Bundle, compare, write_pictures
from kotlin_compiler import (
    HERE,
    compile_kotlin,
    install_compiler,
    refuse_missing_tools,
    run_class,
)
from kotlin_mutants import MUTANTS, write_mutant

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.files import write_json
from edge_melanoma.machine.schemas import read_json
from edge_melanoma.machine.terminal import TerminalReporter

ROOT = HERE.parents[2]
SAMPLE = ROOT / "android_assets/sample/app/src/main"
MAIN = "org.edgemelanoma.desktop.MainKt"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compile, run, compare; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, default=ROOT / "android_assets")
    parser.add_argument("--build", type=Path, default=ROOT / "build/clients")
    options = parser.parse_args(arguments)
    try:
        refuse_missing_tools()
        bundle = Bundle(root=options.bundle.resolve())
        bundle.refuse_without_models()
        with tempfile.TemporaryDirectory() as folder:
            client = KotlinClient(
                bundle,
                library=install_compiler(options.build.resolve() / "kotlin-compiler"),
                folder=Path(folder),
            )
            return client.run(options.build / "kotlin.json")
    except EdgeMelanomaError as error:
        print(error, file=sys.stderr)
        return 2


class KotlinClient:
    """The shipped Kotlin with stand-ins for Android, compiled in a folder of its own."""

    def __init__(self, bundle: Bundle, *, library: Path, folder: Path) -> None:
        self._bundle, self._library, self._folder = bundle, library, folder
        self._classes, self._pictures = folder / "classes", folder / "pictures"

    def run(self, results: Path) -> int:
        """Write and print the comparison; 1 where anything is not as it must be."""
        reporter = TerminalReporter()
        reporter.say("Compiling the Kotlin of the bundle and of the sample, warnings as errors")
        with ThreadPoolExecutor(1) as pool:
            compiling = pool.submit(
                compile_kotlin, self._sources(), self._classes, library=self._library
            )
            expected = write_pictures(self._bundle, self._pictures)
            compiling.result()
        reporter.say("Running it on the golden vectors, on 200 odd pictures, on spoilt bundles")
        report_file = self._folder / "report.json"
        done = self._run_main([self._classes], report_file)
        if not report_file.is_file():
            raise EdgeMelanomaError(f"The Kotlin ended without a report:\n{done.stderr[-2000:]}")
        report, complaints = read_json(report_file), done.stdout.splitlines()
        complaints += unknown_to_android(self._classes, self._library.parents[2] / TYPINGS)
        lines = [
            compare(model, report, expected[model], threshold=self._bundle.threshold(model))
            for model in MODELS
        ]
        reporter.say("Changing lines of it, which the golden vectors must notice")
        with ThreadPoolExecutor(2) as pool:
            noticed = dict(zip(MUTANTS, pool.map(self._is_noticed, MUTANTS), strict=True))
        complaints += [f"the golden vectors did not notice: {n}" for n in MUTANTS if not noticed[n]]
        write_json(results, lines)
        print("\n".join(map(json.dumps, lines)))
        print("".join(f"{line}\n" for line in complaints), file=sys.stderr, end="")
        is_exact = all(line["equal"] == line["pictures"] for line in lines)
        return 0 if is_exact and done.returncode == 0 and not complaints else 1

    def _sources(self) -> list[Path]:
        """All Kotlin there is, and the class R that Android's build tools would make."""
        resources = write_resource_class(read_resources(SAMPLE / "res"), self._folder)
        folders = (ROOT / "android_assets/app", SAMPLE, HERE)
        return [resources, *(path for folder in folders for path in sorted(folder.rglob("*.kt")))]

    def _run_main(
        self, classpath: Sequence[Path], *results: Path
    ) -> subprocess.CompletedProcess[str]:
        """Run the golden vectors and, where `results` names a file, everything else."""
        arguments = [self._bundle.assets, self._bundle.test_assets, self._pictures, *results]
        return run_class(MAIN, arguments, classpath=classpath, library=self._library)

    def _is_noticed(self, name: str) -> bool:
        folder = self._folder / name.replace(" ", "-")
        compile_kotlin(
            [write_mutant(name, folder)],
            folder / "classes",
            library=self._library,
            classpath=[self._classes],
        )
        done = self._run_main([folder / "classes", self._classes])
        return done.returncode == 1 and "golden vectors" in done.stdout


if __name__ == "__main__":
    sys.exit(main())
