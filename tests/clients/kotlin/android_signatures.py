"""Whether the stand-ins for Android declare only what Android has, parameter types included.

The reference is the package types-android, typings that were made from Android's own classes.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from class_files import ClassFile, read_class_file

TYPINGS = Path("node_modules/@nativescript/types-android/lib/android/android-platform-37.d.ts")

TYPED_CLASS = re.compile(
    r"export (?:abstract )?class \w+(?:<.*?>)?(?: extends (?P<parent>[\w.]+))?"
)
TYPED_NAME = re.compile(r"public static class: java\.lang\.Class<(?P<name>[\w.]+)")
TYPED_METHOD = re.compile(r"public (?:static )?(?P<name>\w+)\((?P<parameters>[^()]*)\): ")
TYPED_FIELD = re.compile(r"public (?:static )?(?P<name>\w+): ")
TYPED_PARAMETER = re.compile(r"\w+: (?P<type>[\w.<>]+)")

TYPE_OF_DESCRIPTOR = {
    **dict.fromkeys("BDFIJS", "number"),
    "Z": "boolean",
    "Ljava/lang/String;": "string",
    "Ljava/lang/CharSequence;": "string",
    "Ljava/lang/Object;": "any",
}
OWN_OF_KOTLIN = {"INSTANCE", "Companion", "values", "valueOf", "getEntries"}
"""What the Kotlin compiler adds to objects, companions and enums."""


@dataclass(slots=True)
class TypedClass:
    """The typings' lines of one class; there are thousands, and few are asked."""

    parent: str
    lines: list[str] = field(default_factory=list)

    def has_field(self, name: str) -> bool:
        """Whether there is a public field of that name."""
        return any(found["name"] == name for found in map(TYPED_FIELD.match, self.lines) if found)

    def has_method(self, name: str, types: list[str]) -> bool:
        """Whether there is a public method of that name with parameters of these types."""
        methods = (found for found in map(TYPED_METHOD.match, self.lines) if found)
        return any(
            found["name"] == name and TYPED_PARAMETER.findall(found["parameters"]) == types
            for found in methods
        )


def unknown_to_android(classes: Path, typings: Path) -> list[str]:
    """A sentence for each public member of compiled android.* classes that Android lacks."""
    known = read_typings(typings.read_text(encoding="utf-8"))
    files = (read_class_file(path) for path in sorted((classes / "android").rglob("*.class")))
    return [
        f"Android has no {file.name}.{member}"
        for file in files
        if not file.name.endswith(".Companion")
        for member in unknown_members(file, known)
    ]


def read_typings(text: str) -> Mapping[str, TypedClass]:
    """Classes by full name."""
    classes: dict[str, TypedClass] = {}
    parent, current = "", TypedClass(parent="")
    for line in map(str.strip, text.splitlines()):
        if line.startswith("public "):
            if found := TYPED_NAME.match(line):
                current = classes[found["name"]] = TypedClass(parent=parent)
            else:
                current.lines.append(line)
        elif found := TYPED_CLASS.match(line):
            parent = found["parent"] or ""
    return classes


def unknown_members(file: ClassFile, known: Mapping[str, TypedClass]) -> Iterator[str]:
    """Fields and methods of a class that neither its namesake nor an ancestor of that has."""
    lineage = []
    name = file.name
    while name in known:
        lineage.append(known[name])
        name = known[name].parent
    for field_name in file.fields:
        if not (_is_kotlins(field_name) or any(of.has_field(field_name) for of in lineage)):
            yield field_name
    for method in file.methods:
        types = list(map(_type_of, method.parameters))
        if not (
            _is_kotlins(method.name) or any(of.has_method(method.name, types) for of in lineage)
        ):
            yield f"{method.name}({', '.join(types)})"


def _is_kotlins(name: str) -> bool:
    """Constructors, which stand-ins have their own of, internal names, and the compiler's."""
    return name.startswith("<") or "$" in name or name in OWN_OF_KOTLIN


def _type_of(descriptor: str) -> str:
    if descriptor.startswith("["):
        return f"androidNative.Array<{_type_of(descriptor[1:])}>"
    dotted = descriptor[1:-1].replace("/", ".").replace("$", ".")
    return TYPE_OF_DESCRIPTOR.get(descriptor, dotted)
