"""The parity report as a person reads it, made from figures that are written out here."""

from dataclasses import replace
from io import StringIO

import pytest
from made import predictions_of
from rich.console import Console

from edge_melanoma.benchmarks.parity.comparison import Comparison, Flips
from edge_melanoma.benchmarks.parity.contract import Contracts, ParityContract
from edge_melanoma.benchmarks.parity.verdict import MeasuredCandidate, MeasuredModel, ParityReport
from edge_melanoma.benchmarks.report.tables import describe_report
from edge_melanoma.benchmarks.report.text import describe_notes, render_markdown, render_terminal
from edge_melanoma.benchmarks.timing.latency import LatencySamples
from edge_melanoma.evaluation.metrics import Metrics
from edge_melanoma.evaluation.reliability import measure_reliability
from edge_melanoma.machine.markdown import table_of

BEFORE = Metrics(recall=0.95, specificity=0.9, precision=0.9, f1=0.92, accuracy=0.925, auc=0.97)
AFTER = Metrics(recall=0.94, specificity=0.91, precision=0.9, f1=0.92, accuracy=0.926, auc=0.96)
ALIKE = predictions_of(malignant=(0.9,), benign=(0.1,))
CALIBRATION = measure_reliability(ALIKE)
REFERENCE = MeasuredModel(
    runtime="keras",
    mode="keras",
    size_bytes=9_640_000,
    sha256="aa",
    metrics=BEFORE,
    intervals={},
    calibration=CALIBRATION,
    latency=LatencySamples(
        wall_ns=(20_000_000, 20_000_000), cpu_ns=(30_000_000, 30_000_000), warmup=3, threads=1
    ),
)
CANDIDATE = MeasuredModel(
    runtime="ai_edge_litert",
    mode="int8",
    size_bytes=2_500_000,
    sha256="bb",
    metrics=AFTER,
    intervals={},
    calibration=CALIBRATION,
    latency=LatencySamples(
        wall_ns=(5_000_000, 5_000_000), cpu_ns=(4_000_000, 4_000_000), warmup=3, threads=1
    ),
)


def make_report(
    *,
    lost: tuple[str, ...] = ("m/1.png",),
    candidate: MeasuredModel = CANDIDATE,
    ties: dict[str, int] | None = None,
) -> ParityReport:
    comparison = Comparison(
        scores=(ALIKE, ALIKE),
        threshold=0.25,
        output=None,
        reference=BEFORE,
        candidate=AFTER,
        flips=Flips(
            lost_malignant=lost,
            gained_malignant=(),
            new_false_alarm=(),
            cleared_false_alarm=("b/1.png",),
        ),
        ties=ties,
        distinct_scores=150,
        agreement=0.99,
        max_score_difference=0.1,
        mean_score_difference=0.01,
        mcnemar_p=1.0,
        recall_drop_upper95=0.04,
    )
    contract = ParityContract()
    return ParityReport(
        dataset={"name": "small set", "images": 200, "malignant": 100},
        threshold=0.25,
        machine={"cpu": "a processor", "load": 0.51, "contaminated": False},
        contracts=Contracts(general=contract),
        reference=REFERENCE,
        candidates=(
            MeasuredCandidate(
                model=candidate, reference=REFERENCE, comparison=comparison, contract=contract
            ),
        ),
    )


QUALITY = """\
| model | recall | drop | specificity | precision | F1 | accuracy | drop | AUC | agreement \
| lost/gained | verdict |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| keras | 0.9500 |  | 0.9000 | 0.9000 | 0.9200 | 0.9250 |  | 0.9700 |  |  | reference |
| int8 | 0.9400 | +0.0100 | 0.9100 | 0.9000 | 0.9200 | 0.9260 | -0.0010 | 0.9600 | 99.00% | 1/0 \
| fail |"""
COST = """\
| model | runtime | size MB | p50 ms | p90 ms | p99 ms | CPU p50 ms | p50 ratio |
| --- | --- | --- | --- | --- | --- | --- | --- |
| keras | keras | 9.64 | 20.00 | 20.00 | 20.00 | 30.00 | 1.00 |
| int8 | ai_edge_litert | 2.50 | 5.00 | 5.00 | 5.00 | 4.00 | 0.25 |"""


def test_the_markdown_report_says_everything_once_and_in_order() -> None:
    assert (
        render_markdown(make_report().as_dict())
        == f"""\
# Parity of the exported models with the trained network

**Fail: int8; 1 of 3 checks missed**

small set: 200 images, 100 malignant; threshold 0.2500 from validation; a processor, load 0.5

{QUALITY}

Drop = reference - candidate. Research only, not a medical device.

One picture at a time, 1 thread(s), 2 runs after 3 for warm-up

{COST}

| model | sha256 |
| --- | --- |
| keras | `aa` |
| int8 | `bb` |

- int8 fails: max_recall_drop is 0.005, measured 0.01
- int8 loses 1 malignant: m/1.png
- small set: no data set card (dataset.toml): source, licence and label definition unknown

## Contract

| model | rule | limit | measured | verdict |
| --- | --- | --- | --- | --- |
| int8 | max_recall_drop | 0.005 | 0.01 | MISSED |
| int8 | max_accuracy_drop | 0.005 | -0.001 | kept |
| int8 | min_agreement | 0.99 | 0.99 | kept |

Limits from the defaults; a margin is held against the drop's upper bound.
"""
    )


def test_the_terminal_shows_the_cells_of_the_markdown() -> None:
    quality, cost = render_terminal(make_report().as_dict())
    for table, markdown in ((quality, QUALITY), (cost, COST)):
        cells = [[str(column.header), *map(str, column.cells)] for column in table.columns]
        lines = ["| " + " | ".join(row) + " |" for row in zip(*cells, strict=True)]
        expected = markdown.splitlines()
        assert lines == [expected[0], *expected[2:]]
    stream = StringIO()
    Console(file=stream, width=160).print(quality)
    assert "Research only, not a medical device." in stream.getvalue()


def test_recall_is_the_first_figure_of_a_row() -> None:
    quality, _ = render_terminal(make_report().as_dict())
    assert [column.header for column in quality.columns][:3] == ["model", "recall", "drop"]


def test_a_noisy_machine_is_named() -> None:
    quiet = make_report()
    noisy = replace(quiet, machine={**quiet.machine, "contaminated": True})
    assert describe_report(noisy.as_dict()) == (
        "small set: 200 images, 100 malignant; threshold 0.2500 from validation; "
        "a processor, load 0.5, contaminated by other load"
    )


def test_a_model_that_was_not_run_has_no_times() -> None:
    report = make_report(candidate=replace(CANDIDATE, latency=None))
    assert "| int8 | ai_edge_litert | 2.50 | not run |  |  |  |  |" in render_markdown(
        report.as_dict()
    )
    assert "\nLatency was not measured\n" in render_markdown(report.as_dict())


@pytest.mark.parametrize(
    ("count", "ending"),
    [
        (1, "1 malignant: m1"),
        (5, "5 malignant: m1, m2, m3, m4, m5"),
        (7, "7 malignant: m1, m2, m3, m4, m5 and 2 more"),
    ],
)
def test_five_lost_melanomas_are_named_and_the_rest_counted(count: int, ending: str) -> None:
    report = make_report(lost=tuple(f"m{number + 1}" for number in range(count)))
    assert describe_notes(report.as_dict()) == [
        "int8 fails: max_recall_drop is 0.005, measured 0.01",
        f"int8 loses {ending}",
        NO_CARD,
    ]


NO_CARD = "small set: no data set card (dataset.toml): source, licence and label definition unknown"


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
    assert describe_notes(parity) == [
        "int8 fails: max_recall_drop is 0.005, measured 0.01",
        "int8 loses 1 malignant: m/1.png",
        sentence,
        NO_CARD,
    ]


def test_no_ties_need_no_line() -> None:
    none = make_report(ties={"images": 0, "malignant": 0})
    assert describe_notes(none.as_dict()) == describe_notes(make_report().as_dict())


def test_a_candidate_that_loses_nothing_needs_no_lines() -> None:
    report = make_report(lost=())
    clean = replace(report.candidates[0], contract=ParityContract(max_recall_drop=1))
    assert describe_notes(replace(report, candidates=(clean,)).as_dict()) == [NO_CARD]


def test_a_markdown_table_has_a_rule_as_wide_as_its_columns() -> None:
    assert table_of(("a", "b"), [("1", "2"), ("3", "")]) == [
        "| a | b |",
        "| --- | --- |",
        "| 1 | 2 |",
        "| 3 |  |",
    ]


def test_a_ratio_to_an_untimed_reference_is_left_empty() -> None:
    untimed = replace(REFERENCE, latency=None)
    report = make_report()
    candidate = replace(report.candidates[0], reference=untimed)
    lines = render_markdown(
        replace(report, reference=untimed, candidates=(candidate,)).as_dict()
    ).splitlines()
    (row,) = [line for line in lines if line.startswith("| int8 | ai_edge_litert |")]
    assert row.endswith("| 4.00 |  |")


def test_brackets_in_the_name_of_a_data_set_are_shown() -> None:
    report = make_report()
    named = replace(report, dataset={**report.dataset, "name": "set [old]"})
    console = Console(file=StringIO(), width=160)
    console.print(render_terminal(named.as_dict())[0])
    stream = console.file
    assert isinstance(stream, StringIO)
    assert "set [old]: " in stream.getvalue()


def test_markdown_shows_a_file_name_and_runs_nothing_of_it() -> None:
    name = "m/<img src=x onerror=alert(1)>|`*[a](b).jpg\nb"
    text = render_markdown(make_report(lost=(name,)).as_dict())
    assert (
        "- int8 loses 1 malignant: m/&lt;img src=x onerror=alert(1)&gt;\\|\\`\\*\\[a\\](b).jpg b\n"
    ) in text
    assert "<img" not in text
