"""The Kotlin that ships, by a real compiler: slow, since that takes its time."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "android_assets"
KOTLIN = ROOT / "tests/clients/kotlin"
RUN = KOTLIN / "kotlin_run.py"
LITERT = re.compile(r"com\.google\.ai\.edge\.litert:litert:([\d.]+)")
ANDROID_IMPORT = re.compile(
    r"^import (android|androidx|com\.google|org\.json|org\.tensorflow)", re.M
)


@pytest.mark.slow
def test_shipped_kotlin_gives_pythons_integers_and_notices_changed_lines(tmp_path: Path) -> None:
    if not (ASSETS / "app/src/main/assets/model_info.json").is_file():
        pytest.skip("this checkout holds no bundle; edge-melanoma android bundled makes it")
    build = ROOT / "build/clients"
    result = subprocess.run(
        [sys.executable, RUN, "--build", build], capture_output=True, text=True, timeout=900
    )
    if result.returncode == 2 and "apt-get install" in result.stderr:
        pytest.skip(result.stderr.strip())
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["input"] for line in lines] == ["int8", "uint8"]
    assert all(line["equal"] == line["pictures"] == 200 for line in lines)
    assert json.loads((build / "kotlin.json").read_text(encoding="utf-8")) == lines


def test_a_missing_tool_is_one_sentence_that_says_how_to_get_it(tmp_path: Path) -> None:
    python = shutil.which(sys.executable) or sys.executable
    result = subprocess.run(
        [python, RUN, "--build", tmp_path],
        env={"PATH": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert re.fullmatch(
        r"The Kotlin client needs java, npm.* \(Java 17 or newer\); "
        r"on Debian: apt-get install openjdk-17-jre-headless npm.*\.\n",
        result.stderr,
    )


def test_the_preprocessor_needs_nothing_of_android() -> None:
    shipped = ASSETS / "app/src/main/kotlin/org/edgemelanoma"
    pure = {
        path.name
        for path in shipped.glob("*.kt")
        if not ANDROID_IMPORT.search(path.read_text(encoding="utf-8"))
    }
    assert {
        "LesionPreprocessor.kt",
        "Orientation.kt",
        "PixelSource.kt",
        "TriangleFilter.kt",
        "UprightStrips.kt",
    } <= pure
    assert {"LesionClassifier.kt", "BitmapPixels.kt", "ModelInfo.kt"}.isdisjoint(pure)


def test_kotlin_files_are_short() -> None:
    folders = (ASSETS, KOTLIN)
    files = [path for folder in folders for path in folder.rglob("*.kt")]
    long = {
        path.name: count
        for path in files
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 300
    }
    assert files
    assert not long


def test_sample_and_dependencies_ask_for_the_same_litert() -> None:
    files = (ASSETS / "gradle/dependencies.gradle.kts", ASSETS / "sample/app/build.gradle.kts")
    versions = [LITERT.findall(path.read_text(encoding="utf-8")) for path in files]
    assert {*versions[0]} == {*versions[1]} != set()
