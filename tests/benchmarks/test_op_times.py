"""Times of single operators: of a profile that is written out here, and of a small real graph."""

import json
import sys
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edge_melanoma.benchmarks import op_times
from edge_melanoma.benchmarks.op_times import (
    OperatorTime,
    measure_op_times,
    render_op_times,
    sum_by_operator,
)
from edge_melanoma.errors import EdgeMelanomaError

HEADER = "[node type] [start] [first] [avg ms] [%] [cdf%] [mem KB] [times called] [Name]"
CONV, GEMM = "Convolution (NHWC, QC8) IGEMM", "Fully Connected (NC, QS8, QC8W) GEMM"


def row(name: str, percent: float, *, place: str = "Delegate:0", called: int = 4) -> str:
    where, index = place.split(":")
    delegate = "Delegate/" if where == "Delegate" else ""
    times = f"0.000 9.000 9.000 {percent:.3f}% {percent:.3f}% 0.000"
    return f"      {delegate}{name}      {times}      {called}   [{where}]:{index}"


def summary_of(*rows: str, total_us: int = 8000) -> str:
    """In four runs: 2 ms each."""
    lines = ["=== Run Order ===", HEADER, *rows, "=== Top by Computation Time ===", *rows]
    return "\n".join([*lines, "", f"Timings (microseconds): count=3 curr={total_us}", ""])


def read(summary: str, operators: list[tuple[str, str]]) -> list[OperatorTime]:
    return op_times._read_summary(summary, operators, runs=4)


def add_model(count: int = 3) -> bytes:
    """An image added to itself, `count` times: 4 MB, or the profiler would count no microsecond."""
    graph = schema.SubGraphT()
    graph.tensors = [schema.TensorT() for _ in range(count + 1)]
    for number, tensor in enumerate(graph.tensors):
        tensor.shape, tensor.name = np.array([1, 1024, 1024, 1], np.int32), f"net/sum_{number}/add"
    graph.inputs, graph.outputs = np.array([0], np.int32), np.array([count], np.int32)
    graph.operators = [schema.OperatorT() for _ in range(count)]
    for number, operator in enumerate(graph.operators):
        operator.inputs = np.array([number, 0], np.int32)
        operator.outputs = np.array([number + 1], np.int32)
        operator.builtinOptionsType = schema.BuiltinOptions.AddOptions
        operator.builtinOptions = schema.AddOptionsT()
    model, code, empty = schema.ModelT(), schema.OperatorCodeT(), schema.BufferT()
    model.version, model.subgraphs, model.buffers = 3, [graph], [empty]
    model.operatorCodes = [code]  # operator 0 is ADD
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.fixture(scope="module")
def measured() -> tuple[OperatorTime, ...]:
    return measure_op_times(add_model(), runs=3, threads=1)


def test_a_time_is_its_share_of_the_mean_invocation() -> None:
    (time,) = read(summary_of(row(CONV, 12.5)), [("CONV_2D", "Conv1")])
    assert time == OperatorTime(operator=CONV, layer="Conv1", count=1, mean_ms=0.25, share=0.125)


def test_a_row_of_several_pieces_of_the_graph_counts_its_operators() -> None:
    (time,) = read(summary_of(row(CONV, 50, called=12)), [])
    assert time.count == 3


def test_layers_are_found_in_order_past_what_xnnpack_adds() -> None:
    rows = [
        row(CONV, 50, place="Delegate:0"),
        row("Static Reshape (NC)", 10, place="Delegate:1"),
        row(GEMM, 20, place="Delegate:2"),
        row("Sigmoid (NC)", 20, place="Delegate:3"),
    ]
    # The step from float16 is taken when the model is loaded.
    operators = [("DEQUANTIZE", "w"), ("CONV_2D", "a"), ("CONV_2D", "b"), ("LOGISTIC", "c")]
    assert [time.layer for time in read(summary_of(*rows), operators)] == ["a", "", "b", "c"]


def test_a_graph_in_pieces_names_its_built_in_operators_alone() -> None:
    rows = [row("CONV_2D", 60, place="Builtin:1"), row(CONV, 40, place="Delegate:0", called=8)]
    operators = [("CONV_2D", "a"), ("CONV_2D", "b"), ("CONV_2D", "c")]
    times = read(summary_of(*rows), operators)
    assert [(time.operator, time.layer) for time in times] == [("CONV_2D", "b"), (CONV, "")]


def test_a_built_in_operator_is_not_looked_for_in_xnnpack() -> None:
    rows = [row("CAST", 60, place="Builtin:0"), row(CONV, 40)]
    times = read(summary_of(*rows), [("CAST", "a"), ("CONV_2D", "b")])
    assert [time.layer for time in times] == ["a", "b"]


@pytest.mark.parametrize("summary", ["", summary_of(), row(CONV, 50)])
def test_another_profile_is_refused(summary: str) -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        read(summary, [])
    assert str(caught.value) == (
        "LiteRT's profile cannot be read; expected the package ai-edge-litert 2.3."
    )


def test_a_kind_sums_its_layers_and_the_slowest_comes_first() -> None:
    rows = [row(CONV, 10), row(GEMM, 30, place="Delegate:1"), row(CONV, 60, place="Delegate:2")]
    sums = sum_by_operator(read(summary_of(*rows), []))
    assert [(time.operator, time.count) for time in sums] == [(CONV, 2), (GEMM, 1)]
    assert [time.mean_ms for time in sums] == pytest.approx([1.4, 0.6])


def test_the_table_ends_with_the_sum() -> None:
    first = OperatorTime(operator="Add", layer="a", count=1, mean_ms=1.5, share=0.75)
    second = OperatorTime(operator="Mean", layer="b", count=2, mean_ms=0.5, share=0.25)
    assert render_op_times((first, second)) == [
        "| operator | layer | count | mean ms | share |",
        "|---|---|---|---|---|",
        "| Add | a | 1 | 1.500 | 75.0% |",
        "| Mean | b | 2 | 0.500 | 25.0% |",
        "| all |  | 3 | 2.000 | 100.0% |",
    ]


def test_a_real_graph_gives_a_row_for_each_operator(measured: tuple[OperatorTime, ...]) -> None:
    assert sorted(time.layer for time in measured) == ["sum_1", "sum_2", "sum_3"]
    assert {time.count for time in measured} == {1}
    assert sum(time.share for time in measured) == pytest.approx(1, abs=3e-5)
    assert [t.mean_ms for t in measured] == sorted((t.mean_ms for t in measured), reverse=True)


@pytest.mark.parametrize(("runs", "threads", "name"), [(0, 1, "runs"), (1, 0, "threads")])
def test_no_runs_or_threads_are_refused(runs: int, threads: int, name: str) -> None:
    with pytest.raises(EdgeMelanomaError) as caught:
        measure_op_times(b"", runs=runs, threads=threads)
    assert str(caught.value) == f"The number of {name} is 0; expected 1 or more."


def test_a_model_that_litert_refuses_is_one_sentence() -> None:
    data = bytearray(add_model())
    data[4:8] = b"XXXX"  # the identifier, which the schema's reader does not look at
    with pytest.raises(EdgeMelanomaError) as caught:
        measure_op_times(bytes(data), runs=1, threads=1)
    assert str(caught.value).startswith(
        "LiteRT does not profile this model: LiteRtCreateModelFromBuffer gives "
    )


def test_a_library_without_profiler_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: iter(()))
    with pytest.raises(EdgeMelanomaError) as caught:
        op_times._profile(b"", 1, 1)
    assert str(caught.value) == (
        "LiteRT's profiler is not there: LiteRtCreateEnvironment is missing; "
        "expected the package ai-edge-litert 2.3."
    )


def test_the_command_says_what_is_wrong_with_a_path(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["op_times", "nothing.tflite"])
    with pytest.raises(SystemExit, match="2"):
        op_times.main()
    expected = "op_times: nothing.tflite cannot be read: No such file or directory.\n"
    assert capsys.readouterr().err == expected


def test_the_command_prints_json(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    measured: tuple[OperatorTime, ...],
) -> None:
    monkeypatch.setattr(op_times, "measure_op_times", lambda model, *, runs, threads: measured)
    monkeypatch.setattr(sys, "argv", ["op_times", "model.tflite", "--json"])
    op_times.main()
    (first, *_) = json.loads(capsys.readouterr().out)
    assert list(first) == ["operator", "layer", "count", "mean_ms", "share"]
