"""JUnit XML: a test case a candidate and rule, read back by a parser."""

from xml.etree import ElementTree

from made import predictions_of
from parity_reports import report_of

from edge_melanoma.benchmarks.parity.contract import ParityContract
from edge_melanoma.benchmarks.report.folder import render_junit

BEFORE = predictions_of(malignant=(0.9,) * 4, benign=(0.1,) * 4)
AFTER = predictions_of(malignant=(0.4, 0.9, 0.9, 0.9), benign=(0.1,) * 4)


def test_each_rule_is_a_case_and_each_miss_a_failure_with_its_sentence() -> None:
    contract = ParityContract(max_lost_malignant=0, max_size_mb=3)
    root = ElementTree.fromstring(
        render_junit(report_of(BEFORE, AFTER, contract=contract).as_dict())
    )
    assert (root.tag, root.attrib["tests"], root.attrib["failures"]) == ("testsuites", "5", "4")
    cases = root.findall("./testsuite/testcase")
    assert [(case.attrib["classname"], case.attrib["name"]) for case in cases] == [
        ("edge-melanoma.int8", "max_recall_drop"),
        ("edge-melanoma.int8", "max_accuracy_drop"),
        ("edge-melanoma.int8", "min_agreement"),
        ("edge-melanoma.int8", "max_lost_malignant"),
        ("edge-melanoma.int8", "max_size_mb"),
    ]
    failures = [case.find("failure") for case in cases]
    assert failures[4] is None
    assert failures[3] is not None
    assert failures[3].attrib["message"] == "max_lost_malignant is 0, measured 1"
    assert failures[3].text == "max_lost_malignant is 0, measured 1\nlost malignant: 0.png"


def test_a_report_that_passes_has_no_failures() -> None:
    root = ElementTree.fromstring(render_junit(report_of(BEFORE, BEFORE).as_dict()))
    assert root.attrib["failures"] == "0"
    assert root.findall(".//failure") == []


def test_signs_that_no_xml_may_hold_are_replaced() -> None:
    report = report_of(BEFORE, AFTER, name="a\x00<b>&\ud800")
    root = ElementTree.fromstring(render_junit(report.as_dict()))
    (name,) = [p.attrib["value"] for p in root.iter("property") if p.attrib["name"] == "dataset"]
    assert name == "a\N{REPLACEMENT CHARACTER}<b>&\N{REPLACEMENT CHARACTER}"
