"""The answer in a few lines: every figure whole, at any width, and lines that can be pasted."""

import re
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from made import predictions_of
from parity_reports import report_of

from edge_melanoma.benchmarks.report.text import describe_answer, describe_next

BEFORE = predictions_of(malignant=(0.9,) * 760 + (0.2,) * 6, benign=(0.1,) * 834)
AFTER = predictions_of(malignant=(0.3,) * 4 + (0.9,) * 762, benign=(0.8,) * 3 + (0.1,) * 831)


def parity_of(**changes: Any) -> dict[str, Any]:
    """What bench writes, with changed figures of the int8 file."""
    parity = deepcopy(benched())
    parity["candidates"][1] |= changes
    return parity


@cache
def benched() -> dict[str, Any]:
    """int8 after float32, as bench has them; the network takes 18 ms, float32 8.4 and int8 4."""
    report = report_of(BEFORE, AFTER)
    parity = report.as_dict()
    (int8,) = parity["candidates"]
    float32 = replace(report, candidates=report_of(BEFORE, BEFORE).candidates).as_dict()
    (copy,) = float32["candidates"]
    copy |= {"mode": "float32", "size_bytes": 9_500_000}
    copy["latency_ms"] = {**copy["latency_ms"], "p50": 8.4}
    parity["reference"]["size_bytes"] = 9_620_000
    parity["reference"]["latency_ms"] = {**copy["latency_ms"], "p50": 18.0}
    parity["candidates"] = [copy, int8]
    return parity


def test_the_best_file_stands_first_with_size_speed_recall_and_bound() -> None:
    assert describe_answer(parity_of(), width=120) == [
        "int8      PASS  2.60 MB (3.7x smaller)  4.0 ms (4.5x faster than Keras, 2.1x than "
        "float32; 1 thread)",
        "          recall .992 -> .995: 4 malignant pictures lost, 6 gained of 766; "
        "99.1 % equal decisions",
        "          a recall drop above 0.5 points is excluded (95 %)",
        "float32   PASS  9.50 MB (1.0x smaller)  8.4 ms (2.1x faster than Keras; 1 thread)",
        "          recall .992 -> .992: 0 malignant pictures lost, 0 gained of 766; "
        "100.0 % equal decisions",
        "          a recall drop above 0.4 points is excluded (95 %)",
    ]


@pytest.mark.parametrize(
    ("epoch", "told"), [(2, "epoch 2 kept"), (0, "not tuned: no epoch was better than the start")]
)
def test_a_tuned_file_says_which_epoch_was_kept(epoch: int, told: str) -> None:
    lines = describe_answer(parity_of(best_epoch=epoch), width=120)
    assert [line.strip() for line in lines].count(told) == 1


def test_of_equal_recall_the_smaller_file_stands_first() -> None:
    parity = parity_of()
    for candidate in parity["candidates"]:
        candidate["metrics"] = parity["reference"]["metrics"]
    first = describe_answer(parity, width=100)[0]
    assert first.startswith("int8 ")


def test_sentences_of_failures_and_open_questions_end_a_block() -> None:
    sentence = "98.3 % equal decisions, at least 99 % required"
    question = "120 pictures are too few to tell 98.3 % from 99 %; about 900 would do"
    parity = parity_of(verdict="fail", failures=[sentence], inconclusive=[question])
    lines = describe_answer(parity, width=100)
    assert lines[0].startswith("int8      FAIL  2.60 MB")
    assert lines[3:5] == [f"          fails: {sentence}", f"          open: {question}"]


@pytest.mark.parametrize("width", [40, 60, 79, 80, 99, 100, 120])
def test_no_figure_is_cut_or_parted_from_its_unit(width: int) -> None:
    sentence = "98.3 % equal decisions, at least 99 % required"
    lines = describe_answer(parity_of(failures=[sentence]), width=width)
    assert max(map(len, lines)) <= width
    whole = " ".join(" ".join(lines).split())
    wide = describe_answer(parity_of(failures=[sentence]), width=400)
    assert whole == " ".join(" ".join(wide).split())
    assert not any(re.search(r"\d$", line) for line in lines)


def test_a_slower_file_and_one_that_was_not_timed_say_so() -> None:
    slow = parity_of()
    slow["candidates"][1]["latency_ms"] = {
        **slow["candidates"][1]["latency_ms"],
        "p50": 16.8,
        "threads": 2,
        "contaminated": True,
    }
    assert (
        "16.8 ms (1.1x faster than Keras, 2.0x slower than float32; 2 threads, on a busy"
        in (describe_answer(slow, width=160)[0])
    )
    assert "(3.7x smaller)  not timed" in describe_answer(parity_of(latency_ms=None), width=160)[0]


def test_a_bound_below_nothing_excludes_every_drop() -> None:
    tests = {**parity_of()["candidates"][1]["tests"], "recall_drop_upper95": -0.001}
    lines = describe_answer(parity_of(tests=tests), width=100)
    assert lines[2] == "          a recall drop is excluded (95 %)"


@pytest.mark.parametrize(
    ("modes", "command"),
    [
        ({"int8": "pass"}, "android 'my runs/partial-1'"),
        ({"int8": "inconclusive"}, "android 'my runs/partial-1'"),
        ({"int8": "fail", "int8-qat": "pass"}, "android 'my runs/partial-1'"),
        ({"int8": "pass", "int8-qat": "fail"}, "android 'my runs/partial-1' --mode int8"),
        ({"int8": "fail"}, "export 'my runs/partial-1' --quantize int8-qat"),
        ({"float32": "pass"}, "export 'my runs/partial-1' --quantize int8"),
        ({"int8": "fail", "int8-qat": "fail"}, "bench 'my runs/partial-1' --full"),
    ],
)
def test_the_next_line_is_a_command_that_can_be_pasted(modes: dict[str, str], command: str) -> None:
    parity = {"candidates": [{"mode": mode, "verdict": v} for mode, v in modes.items()]}
    run = Path("my runs/partial-1")
    assert describe_next(parity, run=run, page=run / "bench" / "report.html") == [
        "Report  'my runs/partial-1/bench/report.html'",
        f"Next    edge-melanoma {command}",
    ]
