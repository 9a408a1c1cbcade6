"""The Swift of the bundle, of which no compiler is here: its resize and gate, run in translation.

Each line of Resize.swift becomes the line of Python that says the same: integers and doubles are of
64 bits in both, and `Int(x)` cuts in both.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_melanoma.data.images import resize_image

SWIFT = Path(__file__).parents[2] / "android_assets/ios/Sources/EdgeMelanoma/Resize.swift"
RULES = (
    (r"^(?:public )?func (\w+)\((.*)\) -> .* \{$", r"def \1(\2):"),
    (r"^for (\w+) in (.+)\.\.<(.+) \{$", r"for \1 in range(\2, \3):"),
    (r"^for (\w+) in (\w+) \{$", r"for \1 in \2:"),
    (r"^if (.+) \{$", r"if \1:"),
    (r"^(?:public )?(?:let|var) ", ""),
    (r"^(\w+): \[.*?\]+ = \[\]$", r"\1 = []"),
    (r"\b_ (\w+): \[?\w+\]?", r"\1"),
    (r"\[UInt8\]\(repeating: 0, count: (.+)\)$", r"[0] * (\1)"),
    (r"(\w+(?:\[\w+\])?)\.count\b", r"len(\1)"),
    (r"\.append\(", ".append("),
    (r"\bDouble\(", "float("),
    (r"\b(?:Int|UInt8)\(", "int("),
    (r"\|\|", "or"),
)
"""Patterns of Swift, and what they are in Python."""


def translate(source: str) -> str:
    """The same program in Python; lines of no known form stay and do not compile."""
    return "\n".join(_lines(source)) + "\n"


def _lines(source: str) -> Iterator[str]:
    depth = 0
    for line in source.splitlines():
        text = line.partition("//")[0].strip()
        if text == "}":
            depth -= 1
        elif text:
            opens = text.endswith("{")
            for pattern, replacement in RULES:
                text = re.sub(pattern, replacement, text)
            yield "    " * depth + text
            depth += opens


@pytest.fixture(scope="module")
def swift() -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(translate(SWIFT.read_text(encoding="utf-8")), str(SWIFT), "exec"), names)
    return names


@pytest.mark.parametrize(
    ("height", "width"),
    [(1, 1), (1, 97), (61, 1), (3, 5), (113, 64), (224, 224), (223, 225), (40, 331), (449, 20)],
)
def test_the_swift_resize_is_pythons(swift: dict[str, Any], height: int, width: int) -> None:
    random = np.random.default_rng(height * 1000 + width)
    pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if height % 2:
        pixels = np.where(pixels > 127, 255, 0).astype(np.uint8)
    found = swift["resize"](pixels.ravel().tolist(), width, height)
    np.testing.assert_array_equal(np.reshape(found, (224, 224, 3)), resize_image(pixels))


def test_a_resize_that_rounds_down_is_noticed() -> None:
    names: dict[str, Any] = {}
    exec(translate(SWIFT.read_text(encoding="utf-8").replace("2097152", "0")), names)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 31, 3), dtype=np.uint8)
    found = np.reshape(names["resize"](pixels.ravel().tolist(), 31, 30), (224, 224, 3))
    assert not np.array_equal(found, resize_image(pixels))


@pytest.mark.parametrize(
    ("components", "judged"),
    [([3, 4, 0, 0], True), ([3, 4, 1, 0], False), ([3, 4, -9, -9], True), ([-5, 1, 0, 0], False)],
)
def test_the_swift_gate_counts_the_last_ones_where_positive(
    swift: dict[str, Any], components: list[int], judged: bool
) -> None:
    assert swift["isInDomain"](components, 0, 2, 25) is judged
