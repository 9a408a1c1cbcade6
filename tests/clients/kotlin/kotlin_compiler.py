"""The real Kotlin compiler, pinned by package-lock.json, and what else the desktop run needs."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from edge_melanoma.converters.phone.web_page import install_locked
from edge_melanoma.errors import EdgeMelanomaError

HERE = Path(__file__).parent
JAVA_FOLDER = Path("/usr/share/java")
JNA, ANDROID_JSON = JAVA_FOLDER / "jna.jar", JAVA_FOLDER / "json-android.jar"
OLDEST_JAVA = 17
DEBIAN_PACKAGES = {
    "java": "openjdk-17-jre-headless",
    "npm": "npm",
    str(JNA): "libjna-java",
    str(ANDROID_JSON): "libandroid-json-org-java",
}
COMPILE_SECONDS = 600
"""Three quarters of a minute of CPU time at most; the rest is for a machine that others use."""


def refuse_missing_tools() -> None:
    """Say in one sentence what is missing on this machine and how to get it.

    Raises:
        EdgeMelanomaError: something is missing, or Java is too old.
    """
    missing = [name for name in DEBIAN_PACKAGES if not (Path(name).is_file() or shutil.which(name))]
    if "java" not in missing and _java_version() < OLDEST_JAVA:
        missing.insert(0, "java")
    if missing:
        packages = " ".join(DEBIAN_PACKAGES[name] for name in missing)
        raise EdgeMelanomaError(
            f"The Kotlin client needs {', '.join(missing)} (Java {OLDEST_JAVA} or newer); "
            f"on Debian: apt-get install {packages}."
        )


def install_compiler(folder: Path) -> Path:
    """The compiler's lib folder below `folder`, installed once for a version of the lock file.

    Raises:
        EdgeMelanomaError: npm cannot get the package or its content is not the pinned one.
    """
    return install_locked(HERE, folder) / "kotlin-compiler/lib"


def compile_kotlin(
    sources: Sequence[Path], out: Path, *, library: Path, classpath: Sequence[Path] = ()
) -> None:
    """Compile `sources` to class files in `out`, with warnings as errors.

    `internal` names of a class folder in `classpath` are visible, as to a module's own tests.

    Raises:
        EdgeMelanomaError: the compiler complains; the message is its own.
    """
    folders = ",".join(str(path) for path in classpath if path.is_dir())
    command = [
        # Only the fast compiler of the JVM: a run is too short for the thorough one to pay.
        *["java", "-Xmx1g", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"],
        *["-cp", str(library / "kotlin-preloader.jar")],
        *["org.jetbrains.kotlin.preloading.Preloader", "-cp", str(library / "kotlin-compiler.jar")],
        *["org.jetbrains.kotlin.cli.jvm.K2JVMCompiler", "-Werror", "-no-reflect"],
        *["-jvm-target", str(OLDEST_JAVA), "-d", str(out)],
        *["-cp", ":".join(map(str, [JNA, ANDROID_JSON, *classpath]))],
        *([f"-Xfriend-paths={folders}"] if folders else []),
        *map(str, sources),
    ]
    result = _run(command, folder=HERE)
    if result.returncode:
        raise EdgeMelanomaError(f"The Kotlin does not compile:\n{result.stderr.strip()}")


def run_class(
    name: str, arguments: Sequence[Path], *, classpath: Sequence[Path], library: Path
) -> subprocess.CompletedProcess[str]:
    """Run a compiled `main` with LiteRT's native library of the installed wheel."""
    path = [*classpath, library / "kotlin-stdlib.jar", JNA, ANDROID_JSON]
    command = ["java", "-Xmx2g", f"-Dlitert.library={native_library()}", "-Djava.awt.headless=true"]
    return _run(
        [*command, "-cp", ":".join(map(str, path)), name, *map(str, arguments)], folder=HERE
    )


def native_library() -> Path:
    """libLiteRt.so of the ai-edge-litert wheel.

    Raises:
        EdgeMelanomaError: the wheel is of another system.
    """
    import ai_edge_litert

    library = Path(ai_edge_litert.__file__).with_name("libLiteRt.so")
    if not library.is_file():
        raise EdgeMelanomaError(f"{library} is missing; install ai-edge-litert 2.x on Linux.")
    return library


def _java_version() -> int:
    text = _run(["java", "-version"], folder=HERE).stderr
    found = re.search(r'version "(\d+)', text)
    return int(found[1]) if found else 0


def _run(command: Sequence[str], *, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=COMPILE_SECONDS, check=False
    )
