"""The parity report as a person reads it, made from scores that are written out here."""

from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from made import predictions_of
from parity_reports import report_of
from rich.console import Console

from edge_melanoma.benchmarks.parity.contract import ParityContract
from edge_melanoma.benchmarks.parity.verdict import ParityReport
from edge_melanoma.benchmarks.report.tables import describe_report
from edge_melanoma.benchmarks.report.text import (
    describe_answer,
    describe_notes,
    render_markdown,
    terminal_tables,
)
from edge_melanoma.machine.markdown import table_of

BEFORE = predictions_of(malignant=(0.9,) * 20, benign=(0.1,) * 18 + (0.8,) * 2)
AFTER = predictions_of(malignant=(0.4,) + (0.9,) * 19, benign=(0.1,) * 19 + (0.8,))
CONTRACT = ParityContract(max_recall_drop=1, max_accuracy_drop=1, max_lost_malignant=0)


def make_report(*, ties: dict[str, int] | None = None) -> ParityReport:
    """One of 20 malignant images is lost, one of two alarms cleared."""
    report = report_of(BEFORE, AFTER, contract=CONTRACT)
    (candidate,) = report.candidates
    comparison = replace(candidate.comparison, ties=ties)
    return replace(report, candidates=(replace(candidate, comparison=comparison),))


def losing(*image_ids: str) -> dict[str, Any]:
    """The same with other names."""
    parity = make_report().as_dict()
    parity["candidates"][0]["flipped_images"]["lost_malignant"] = image_ids
    return parity


QUALITY = """\
| model | recall | drop | specificity | precision | F1 | accuracy | drop | AUC | agreement \
| lost/gained | verdict |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| keras | 1.0000 |  | 0.9000 | 0.9091 | 0.9524 | 0.9500 |  | 1.0000 |  |  | reference |
| int8 | 0.9500 | +0.0500 | 0.9500 | 0.9500 | 0.9500 | 0.9500 | +0.0000 | 0.9975 | 95.00% | 1/0 \
| fail |"""
COST = """\
| model | runtime | size MB | p50 ms | p90 ms | p99 ms | CPU p50 ms | p50 ratio |
| --- | --- | --- | --- | --- | --- | --- | --- |
| keras | keras | 2.60 | 4.00 | 4.00 | 4.00 | 4.00 | 1.00 |
| int8 | ai_edge_litert | 2.60 | 4.00 | 4.00 | 4.00 | 4.00 | 1.00 |"""
FAILS = "int8 fails: malignant pictures lost: 1, at most 0 allowed"


def test_the_markdown_report_begins_with_the_answer_and_says_everything_in_order() -> None:
    parity = make_report().as_dict()
    answer = "\n".join(describe_answer(parity, width=100))
    text = render_markdown(parity)
    assert text.startswith(
        f"""\
# Parity of the exported models with the trained network

```
{answer}
```

**Fail: int8; 1 of 4 checks missed**

made set: 40 images, 20 malignant; threshold 0.5000 from validation; a processor, load 0.5

20 malignant images cannot exclude a recall drop below """
    )
    assert (
        f"""
{QUALITY}

Drop = reference - candidate. Research only, not a medical device.

One picture at a time, 1 thread(s), 2 runs after 1 for warm-up

{COST}

| model | sha256 |
| --- | --- |
| keras | `{"ab" * 32}` |
| int8 | `{"ab" * 32}` |

- {FAILS}
- int8 loses 1 malignant: 0.png
- {NO_CARD}
- int8 has no threshold of its own; calibration error """
    ) in text
    assert (
        """
## Contract

| model | rule | limit | measured | verdict |
| --- | --- | --- | --- | --- |
| int8 | max_recall_drop | 1 | 0.05 | kept |
| int8 | max_accuracy_drop | 1 | 0 | kept |
| int8 | max_lost_malignant | 0 | 1 | MISSED |
| int8 | require_full_int8 | true | true | kept |

Limits from the defaults; a margin is held against the drop's upper bound.

## Paired statistics
"""
    ) in text


def test_the_terminal_shows_the_cells_of_the_markdown() -> None:
    quality, cost, *_ = terminal_tables(make_report().as_dict())
    for table, markdown in ((quality, QUALITY), (cost, COST)):
        cells = [[str(column.header), *map(str, column.cells)] for column in table.columns]
        lines = ["| " + " | ".join(row) + " |" for row in zip(*cells, strict=True)]
        expected = markdown.splitlines()
        assert lines == [expected[0], *expected[2:]]
    stream = StringIO()
    Console(file=stream, width=160).print(quality)
    assert "Research only, not a medical device." in stream.getvalue()


def test_recall_is_the_first_figure_of_a_row() -> None:
    quality, *_ = terminal_tables(make_report().as_dict())
    assert [column.header for column in quality.columns][:3] == ["model", "recall", "drop"]


def test_a_noisy_machine_is_named() -> None:
    quiet = make_report()
    noisy = replace(quiet, machine={**quiet.machine, "contaminated": True})
    assert describe_report(noisy.as_dict()) == (
        "made set: 40 images, 20 malignant; threshold 0.5000 from validation; "
        "a processor, load 0.5, contaminated by other load"
    )


def test_a_model_that_was_not_run_has_no_times() -> None:
    report = make_report()
    (candidate,) = report.candidates
    untimed = replace(candidate, model=replace(candidate.model, latency=None))
    text = render_markdown(replace(report, candidates=(untimed,)).as_dict())
    assert "| int8 | ai_edge_litert | 2.60 | not run |  |  |  |  |" in text
    assert "\nLatency was not measured\n" in text


@pytest.mark.parametrize(
    ("count", "ending"),
    [
        (1, "1 malignant: m1"),
        (5, "5 malignant: m1, m2, m3, m4, m5"),
        (7, "7 malignant: m1, m2, m3, m4, m5 and 2 more"),
    ],
)
def test_five_lost_melanomas_are_named_and_the_rest_counted(count: int, ending: str) -> None:
    parity = losing(*(f"m{number + 1}" for number in range(count)))
    assert describe_notes(parity)[:3] == [FAILS, f"int8 loses {ending}", NO_CARD]


NO_CARD = "made set: no data set card (dataset.toml): source, licence and label definition unknown"


@pytest.mark.parametrize(
    ("ties", "output", "sentence"),
    [
        (
            {"images": 23, "malignant": 9},
            {"name": "p", "scale": 1 / 256},
            "int8: 23 images (9 malignant) lie on the threshold's own step of 1/256",
        ),
        (
            {"images": 1, "malignant": 0},
            {"name": "logit", "scale": 0.08125},
            "int8: 1 image (0 malignant) lies on the threshold's own step of 0.0813 of the logit",
        ),
        (
            {"images": 2, "malignant": 2},
            {"name": "logit", "scale": 0.0},
            "int8: 2 images (2 malignant) lie on the threshold itself",
        ),
    ],
)
def test_ties_are_told_in_words_after_the_losses(
    ties: dict[str, int], output: dict[str, object], sentence: str
) -> None:
    parity = make_report(ties=ties).as_dict()
    parity["candidates"][0]["output"] = output
    assert describe_notes(parity)[:4] == [
        FAILS,
        "int8 loses 1 malignant: 0.png",
        sentence,
        NO_CARD,
    ]


def test_no_ties_need_no_line() -> None:
    none = make_report(ties={"images": 0, "malignant": 0})
    assert describe_notes(none.as_dict()) == describe_notes(make_report().as_dict())


def test_a_candidate_that_loses_nothing_needs_no_lines() -> None:
    report = report_of(BEFORE, BEFORE, contract=CONTRACT)
    assert describe_notes(report.as_dict())[0] == NO_CARD


def test_what_is_open_is_told_in_a_line() -> None:
    report = report_of(BEFORE, AFTER, contract=ParityContract(max_accuracy_drop=1))
    assert describe_notes(report.as_dict())[0] == (
        "int8 is open: 20 malignant pictures are too few to tell a drop of 5 from 0.5 points of "
        "recall; about 90 would do"
    )


def test_a_markdown_table_has_a_rule_as_wide_as_its_columns() -> None:
    assert table_of(("a", "b"), [("1", "2"), ("3", "")]) == [
        "| a | b |",
        "| --- | --- |",
        "| 1 | 2 |",
        "| 3 |  |",
    ]


def test_a_ratio_to_an_untimed_reference_is_left_empty() -> None:
    report = make_report()
    untimed = replace(report.reference, latency=None)
    candidate = replace(report.candidates[0], reference=untimed)
    lines = render_markdown(
        replace(report, reference=untimed, candidates=(candidate,)).as_dict()
    ).splitlines()
    (row,) = [line for line in lines if line.startswith("| int8 | ai_edge_litert |")]
    assert row.endswith("| 4.00 |  |")


def test_brackets_in_the_name_of_a_data_set_are_shown() -> None:
    report = make_report()
    named = replace(report, dataset={**report.dataset, "name": "set [old]"})
    console = Console(file=StringIO(), width=160, markup=False)  # as all of this package are
    console.print(terminal_tables(named.as_dict())[0])
    stream = console.file
    assert isinstance(stream, StringIO)
    assert "set [old]: " in stream.getvalue()


def test_markdown_shows_a_file_name_and_runs_nothing_of_it() -> None:
    name = "m/<img src=x onerror=alert(1)>|`*[a](b).jpg\nb"
    text = render_markdown(losing(name))
    assert (
        "- int8 loses 1 malignant: m/&lt;img src=x onerror=alert(1)&gt;\\|\\`\\*\\[a\\](b).jpg b\n"
    ) in text
    assert "<img" not in text
