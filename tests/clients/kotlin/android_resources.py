"""The sample's resources as Android's build tools see them: what there is and what refers to it."""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

ANDROID = "{http://schemas.android.com/apk/res/android}"
PACKAGE = "org.edgemelanoma.sample"
REFERENCE = re.compile(r"@(?!android:)(?P<new>\+?)(?P<kind>\w+)/(?P<name>[\w.]+)")

Resources = Mapping[str, frozenset[str]]
"""Names of resources by kind: string, layout, id, style ..."""


def read_resources(folder: Path) -> Resources:
    """What a `res` folder declares: files by name, values and ids by their entries."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in sorted(folder.glob("*/*.xml")):
        root = ElementTree.parse(path).getroot()
        kind = path.parent.name.split("-")[0]
        if kind == "values":
            for entry in root:
                found[entry.tag].add(entry.attrib["name"])
        else:
            found[kind].add(path.stem)
            for element in root.iter():
                for value in element.attrib.values():
                    match = REFERENCE.fullmatch(value)
                    if match and match["new"]:
                        found[match["kind"]].add(match["name"])
    return {kind: frozenset(names) for kind, names in found.items()}


def read_references(path: Path) -> frozenset[tuple[str, str]]:
    """The (kind, name) pairs that an XML file refers to, Android's own left out."""
    texts = [
        text
        for element in ElementTree.parse(path).getroot().iter()
        for text in (*element.attrib.values(), (element.text or "").strip())
    ]
    matches = (REFERENCE.fullmatch(text) for text in texts)
    return frozenset((match["kind"], match["name"]) for match in matches if match)


def write_resource_class(resources: Resources, folder: Path) -> Path:
    """The Kotlin of the class R, so that a name that is missing does not compile."""
    lines = [f"package {PACKAGE}", "", "object R {"]
    number = 0
    for kind, names in sorted(resources.items()):
        lines.append(f"    object {kind} {{")
        for name in sorted(names):
            number += 1
            lines.append(f"        const val {name.replace('.', '_')} = {number}")
        lines.append("    }")
    path = folder / "R.kt"
    path.write_text("\n".join([*lines, "}", ""]), encoding="utf-8")
    return path
