"""The check of the stand-ins against typings of Android."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/clients/kotlin"))

from android_signatures import read_typings, unknown_members  # noqa: E402
from class_files import ClassFile, Method  # noqa: E402

TYPINGS = """
declare module java { export module lang {
  export class Object {
    public static class: java.lang.Class<java.lang.Object>;
    public hashCode(): number;
  }
} }
declare module android { export module graphics {
  export class Bitmap extends java.lang.Object {
    public static class: java.lang.Class<android.graphics.Bitmap>;
    public static DENSITY_NONE: 0;
    public getPixels(pixels: androidNative.Array<number>, offset: number): void;
    public copy(config: android.graphics.Bitmap.Config | null, isMutable: boolean): any;
  }
} }
"""


def unknown(*methods: Method, fields: tuple[str, ...] = ()) -> list[str]:
    bitmap = ClassFile(name="android.graphics.Bitmap", fields=fields, methods=methods)
    return list(unknown_members(bitmap, read_typings(TYPINGS)))


def test_members_of_the_class_and_of_its_ancestors_are_known() -> None:
    config = "Landroid/graphics/Bitmap$Config;"
    members = [Method("getPixels", ("[I", "I")), Method("copy", (config, "Z"))]
    assert not unknown(*members, Method("hashCode", ()), fields=("DENSITY_NONE",))


def test_another_name_count_or_type_is_unknown() -> None:
    assert unknown(Method("getPixel", ("[I", "I"))) == [
        "getPixel(androidNative.Array<number>, number)"
    ]
    assert unknown(Method("getPixels", ("[I",))) == ["getPixels(androidNative.Array<number>)"]
    assert unknown(Method("getPixels", ("[I", "Z"))) != []
    assert unknown(fields=("DENSITY",)) == ["DENSITY"]


def test_what_the_kotlin_compiler_adds_is_left_out() -> None:
    assert not unknown(Method("<init>", ("I",)), Method("secret$main", ()), fields=("Companion",))
