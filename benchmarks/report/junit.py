"""A parity report as JUnit XML: one test case a candidate and rule, as every CI shows them."""

import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

SUITE = "edge-melanoma bench"
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML may hold, not even escaped."""


def render_junit(parity: Mapping[str, Any]) -> str:
    """The XML document of a parity.json; a missed rule is a failure with its sentence."""
    checks = [check for candidate in parity["candidates"] for check in candidate["checks"]]
    counts = {
        "tests": str(len(checks)),
        "failures": str(sum(not check["passed"] for check in checks)),
        "errors": "0",
        "skipped": "0",
    }
    root = ElementTree.Element("testsuites", {"name": SUITE, **counts})
    suite = ElementTree.SubElement(root, "testsuite", {"name": SUITE, **counts})
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in _properties(parity).items():
        ElementTree.SubElement(properties, "property", {"name": name, "value": _clean(value)})
    for candidate in parity["candidates"]:
        for check in candidate["checks"]:
            _add_case(suite, candidate, check)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _properties(parity: Mapping[str, Any]) -> dict[str, str]:
    data = parity["dataset"]
    return {
        "dataset": str(data["name"]),
        "images": str(data["images"]),
        "malignant": str(data["malignant"]),
        "threshold": str(parity["threshold"]["reference"]),
        "contract": str(parity["contract"]["source"]),
    }


def _add_case(
    suite: ElementTree.Element, candidate: Mapping[str, Any], check: Mapping[str, Any]
) -> None:
    mode, rule = candidate["mode"], check["rule"]
    names = {"classname": f"edge-melanoma.{mode}", "name": rule, "time": "0"}
    case = ElementTree.SubElement(suite, "testcase", names)
    if check["passed"]:
        return
    sentence = next(line for line in candidate["failures"] if line.startswith(f"{rule} "))
    failure = ElementTree.SubElement(case, "failure", {"message": sentence, "type": "parity"})
    lost = candidate["flipped_images"]["lost_malignant"]
    failure.text = _clean("\n".join([sentence, *(f"lost malignant: {name}" for name in lost)]))


def _clean(text: str) -> str:
    return NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
