"""What was proved, as tables: cells of a report of made scores."""

import json

import pytest
from made import predictions_of
from parity_reports import report_of

from edge_melanoma.benchmarks.parity.contract import ParityContract
from edge_melanoma.benchmarks.parity.paired_tests import proof_limits, score_upper_bound
from edge_melanoma.benchmarks.report.tables import interval_section, proof_sections, rule_section
from edge_melanoma.benchmarks.report.text import (
    describe_limits,
    describe_notes,
    describe_proof,
    describe_verdict,
    render_markdown,
)

BEFORE = predictions_of(malignant=(0.9,) * 10, benign=(0.1,) * 10)
AFTER = predictions_of(malignant=(0.4,) + (0.9,) * 9, benign=(0.1,) * 10)


def test_statistics_have_a_row_a_candidate_recall_first() -> None:
    parity = report_of(BEFORE, AFTER).as_dict()
    statistics, points = proof_sections(parity)
    (row,) = statistics.rows
    assert statistics.columns[:3] == ("model", "recall drop (95 % interval)", "upper 95 %")
    assert row[0] == "int8"
    low, high = parity["candidates"][0]["drop_intervals"]["recall"]
    assert row[1] == f"+0.1000 ({low:+.4f} .. {high:+.4f})"
    bound = parity["candidates"][0]["tests"]["noninferiority"]["recall"]["upper95"]
    assert row[2] == f"{bound:.4f}"
    assert row[-2:] == ("1.000", "1.000")
    assert len(points.rows) == 3


def test_a_threshold_that_is_not_there_is_a_dash() -> None:
    _, points = proof_sections(report_of(BEFORE, AFTER).as_dict())
    half, reference, own = points.rows
    assert half[:7] == (
        "int8",
        "0.5",
        "0.5000",
        "0.5000",
        "1.0000 -> 0.9000",
        "+0.1000",
        "1.0000 -> 1.0000",
    )
    assert reference[1:] == ("reference's", *half[2:])
    assert set(own[3:]) == {"-"}
    assert "a dash where the file has none" in points.note


def test_margins_stand_among_the_rules_with_the_bound_that_they_are_held_against() -> None:
    contract = ParityContract(recall_noninferiority_margin=0.2, auc_noninferiority_margin=0.3)
    parity = report_of(BEFORE, AFTER, contract=contract).as_dict()
    tests = parity["candidates"][0]["tests"]["noninferiority"]
    assert rule_section(parity).rows[2:4] == (
        *(
            ("int8", f"{name}_noninferiority_margin", limit, f"{tests[name]['upper95']:.4g}", told)
            for name, limit, told in (("recall", "0.2", "open"), ("auc", "0.3", "kept"))
        ),
    )
    assert [tests[name]["shown"] for name in ("recall", "auc")] == [False, True]


def test_every_rule_is_listed_and_the_verdict_counts_them() -> None:
    parity = report_of(BEFORE, AFTER).as_dict()
    assert rule_section(parity).rows == (
        ("int8", "max_recall_drop", "0.005", "0.1", "open"),
        ("int8", "max_accuracy_drop", "0.005", "0.05", "open"),
        ("int8", "require_full_int8", "true", "true", "kept"),
    )
    assert describe_verdict(parity) == "Inconclusive: int8; 2 of 3 checks open"
    strict = report_of(BEFORE, AFTER, contract=ParityContract(max_lost_malignant=0)).as_dict()
    assert rule_section(strict).rows[2] == ("int8", "max_lost_malignant", "0", "1", "MISSED")
    assert describe_verdict(strict) == "Fail: int8; 1 of 4 checks missed"
    loose = ParityContract(max_recall_drop=1, max_accuracy_drop=1)
    kept = report_of(BEFORE, BEFORE, contract=loose).as_dict()
    assert describe_verdict(kept) == "Pass: 3 checks of 1 exported models"


def test_the_proof_counts_malignant_images() -> None:
    text = describe_proof(report_of(BEFORE, AFTER).as_dict())
    assert text.startswith("10 malignant images cannot exclude a recall drop below ")


def test_every_share_has_wilsons_interval() -> None:
    keras, int8 = interval_section(report_of(BEFORE, AFTER).as_dict()).rows
    # Wilson of 9 in 10 by hand: (0.9 + z^2/20 -+ z sqrt(0.009 + z^2/400)) / (1 + z^2/10).
    assert int8[:2] == ("int8", "0.9000 (0.596 .. 0.982)")
    # Of 19 in 20: (0.95 + z^2/40 -+ z sqrt(0.002375 + z^2/1600)) / (1 + z^2/20).
    assert int8[-1] == "0.9500 (0.764 .. 0.991)"
    assert (keras[1], keras[-1]) == ("1.0000 (0.722 .. 1.000)", "")
    assert keras[-2] == "0.2000"


def test_a_line_a_candidate_says_what_its_own_threshold_gives_recall_first() -> None:
    manifest = {"operating_point": {"threshold": 0.4, "integer": -25, "min_recall": 0.95}}
    parity = report_of(BEFORE, AFTER, manifest=manifest).as_dict()
    before, after = (
        model["calibration"]["ece"] for model in (parity["reference"], parity["candidates"][0])
    )
    line = (
        "int8 at its own threshold 0.4000 (integer -25): recall 1.0000, specificity 1.0000; "
        f"calibration error {before:.4f} -> {after:.4f}"
    )
    assert describe_notes(parity)[-1] == line
    assert f"- {line.replace('->', '-&gt;')}\n" in render_markdown(parity)
    without = report_of(BEFORE, AFTER).as_dict()
    assert describe_notes(without)[-1] == (
        f"int8 has no threshold of its own; calibration error {before:.4f} -> {after:.4f}"
    )


def test_every_model_has_its_calibration_and_the_report_is_json() -> None:
    parity = json.loads(json.dumps(report_of(BEFORE, AFTER).as_dict(), allow_nan=False))
    models = [parity["reference"], *parity["candidates"]]
    assert [model["calibration"]["brier"] for model in models] == pytest.approx(
        [0.01, (19 * 0.01 + 0.36) / 20]
    )


def test_the_words_hold_the_figures() -> None:
    limits = proof_limits(lost=1, gained=0, pairs=100, margin=0.03)
    text = describe_limits(limits)
    half = score_upper_bound(lost=0.5, gained=0.5, pairs=100)
    # z^2 * 0.97 / 0.03 = 87.5.
    assert text == (
        "100 malignant images cannot exclude a recall drop below 2.63%, even if nothing flips, nor "
        f"one below {half:.2%} if 1.00% of them flip, for better and worse alike. To exclude 3.00% "
        f"takes 88 without flips, {limits['needed_at_discordance']} at this rate of flips, and "
        f"{limits['needed_for_80_percent_power']} to succeed four times in five."
    )


def test_without_flips_the_words_are_fewer() -> None:
    limits = proof_limits(lost=0, gained=0, pairs=1000, margin=0.005)
    assert describe_limits(limits) == (
        "1,000 malignant images cannot exclude a recall drop below 0.27%, even if nothing flips. "
        "To exclude 0.50% takes 539 without flips."
    )
