"""The sample app's XML: well-formed, every reference leads somewhere, and aapt2 packs it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/clients/kotlin"))

from android_resources import ANDROID, read_references, read_resources  # noqa: E402

MAIN = ROOT / "android_assets/sample/app/src/main"
FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")
USED_IN_KOTLIN = re.compile(r"\bR\.(?P<kind>\w+)\.(?P<name>\w+)")


def xml_files() -> list[Path]:
    return sorted(MAIN.rglob("*.xml"))


def test_all_references_in_xml_lead_somewhere() -> None:
    resources = read_resources(MAIN / "res")
    references = {reference for path in xml_files() for reference in read_references(path)}
    dangling = {(kind, name) for kind, name in references if name not in resources.get(kind, ())}
    assert ("string", "app_name") in references
    assert not dangling


def test_every_resource_is_used() -> None:
    resources = read_resources(MAIN / "res")
    used = {reference for path in xml_files() for reference in read_references(path)}
    for path in (MAIN / "kotlin").rglob("*.kt"):
        used |= {
            (match["kind"], match["name"])
            for match in USED_IN_KOTLIN.finditer(path.read_text(encoding="utf-8"))
        }
    declared = {(kind, name) for kind, names in resources.items() for name in names}
    assert declared == used


def test_a_dangling_reference_is_found(tmp_path: Path) -> None:
    layout = tmp_path / "res/layout/screen.xml"
    layout.parent.mkdir(parents=True)
    layout.write_text(f'<View xmlns:a="{ANDROID[1:-1]}" a:id="@+id/x" a:text="@string/lost"/>')
    assert read_resources(tmp_path / "res") == {
        "layout": frozenset({"screen"}),
        "id": frozenset({"x"}),
    }
    assert read_references(layout) == {("id", "x"), ("string", "lost")}


def test_the_activity_of_the_manifest_exists_and_no_permission_is_asked_for() -> None:
    manifest = ElementTree.parse(MAIN / "AndroidManifest.xml").getroot()
    (activity,) = manifest.iter("activity")
    name = activity.attrib[f"{ANDROID}name"]
    assert (MAIN / f"kotlin/org/edgemelanoma/sample/{name.removeprefix('.')}.kt").is_file()
    assert not list(manifest.iter("uses-permission"))


def test_aapt2_packs_manifest_and_resources(tmp_path: Path) -> None:
    if not (shutil.which("aapt2") and FRAMEWORK.is_file()):
        pytest.skip("needs Debian's packages aapt and android-framework-res")
    compiled, manifest = tmp_path / "resources.zip", tmp_path / "AndroidManifest.xml"
    subprocess.run(
        ["aapt2", "compile", "--dir", str(MAIN / "res"), "-o", str(compiled)], check=True
    )
    # The Gradle plugin puts the namespace there.
    text = (MAIN / "AndroidManifest.xml").read_text(encoding="utf-8")
    manifest.write_text(text.replace("<manifest ", '<manifest package="org.edgemelanoma.sample" '))
    limits = ["--min-sdk-version", "24", "--target-sdk-version", "29"]
    files = ["-I", FRAMEWORK, "--manifest", manifest, "-o", tmp_path / "app.apk", compiled]
    subprocess.run(["aapt2", "link", *limits, *map(str, files)], check=True)
    assert (tmp_path / "app.apk").stat().st_size > 0
