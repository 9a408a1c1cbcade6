"""Where the time of a .tflite model goes: the milliseconds of each operator.

    python -m edge_melanoma.benchmarks.op_times MODEL [--runs 200] [--threads 1] [--json]

Asks LiteRT's own profiler, by its C interface: `litert-benchmark` times whole invocations only.
Operators in capitals ran in built-in kernels, all others in XNNPACK.
"""

import argparse
import ctypes
import json
import re
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from edge_melanoma.benchmarks.tables import markdown_table
from edge_melanoma.child_process import run_in_child
from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.quiet import stderr_discarded

Operators = list[tuple[str, str]]
COLUMNS = ("operator", "layer", "count", "mean ms", "share")
WARMUP = 10
REMEDY = "expected the package ai-edge-litert 2.3."
SUMMARY_ROW = re.compile(
    r"(?m)^ +(?:Delegate/)?(?P<operator>\S.*?)(?: +[\d.]+){3} +(?P<percent>[\d.]+)% +[\d.]+%"
    r" +[\d.]+ +(?P<called>\d+) +\[(?P<place>\w+)\]:(?P<index>\d+)$"
)
SUMMARY_TOTAL = re.compile(r"(?m)^Timings \(microseconds\): count=\d+ curr=(\d+)")
XNNPACK_NAMES = {
    "CONV_2D": ("Convolution", "Fully Connected"),  # a kernel of 1x1 is a matrix product
    "DEPTHWISE_CONV_2D": ("Convolution",),
    "LOGISTIC": ("Sigmoid",),
}
CPU, WRITE = 1, 1  # LiteRtHwAccelerators, LiteRtTensorBufferLockMode
FIRST, ONE = ctypes.c_size_t(0), ctypes.c_size_t(1)
TENSOR_TYPE_BYTES = 128  # LiteRtRankedTensorType has 72
PROFILING = b"enable_profiling = true\n"
GREY = 0x3F  # 63 as an int8, 0.75 as a float32: memory may hold slow denormals by chance


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTime:
    """The mean time of an operator in one invocation, and its share of all operators' time."""

    operator: str
    layer: str
    count: int
    mean_ms: float
    share: float


def measure_op_times(model: Path | bytes, *, runs: int, threads: int) -> tuple[OperatorTime, ...]:
    """Time each operator of a model with one input and one output, the slowest first.

    The profiler cuts every time to whole microseconds: an operator below one counts as nothing.

    Raises:
        EdgeMelanomaError: no such model, LiteRT refuses it, or it has no profiler.
    """
    for name, number in (("runs", runs), ("threads", threads)):
        if number < 1:
            raise EdgeMelanomaError(f"The number of {name} is {number}; expected 1 or more.")
    try:
        data = model if isinstance(model, bytes) else model.read_bytes()
    except OSError as error:
        raise EdgeMelanomaError(f"{model!s} cannot be read: {error.strerror}.") from error
    operators = _read_operators(data)
    summary = run_in_child(_profile, data, runs, threads)
    times = _read_summary(summary, operators, runs=runs)
    return tuple(sorted(times, key=attrgetter("mean_ms"), reverse=True))


def sum_by_operator(times: Iterable[OperatorTime]) -> tuple[OperatorTime, ...]:
    """A row for each kind of operator, of all its layers together, the slowest first."""
    kinds: dict[str, list[OperatorTime]] = {}
    for time in times:
        kinds.setdefault(time.operator, []).append(time)
    sums = [_sum(rows, operator=name) for name, rows in kinds.items()]
    return tuple(sorted(sums, key=attrgetter("mean_ms"), reverse=True))


def render_op_times(times: tuple[OperatorTime, ...]) -> list[str]:
    """The rows and their sum as lines of a Markdown table."""
    cells = [
        [time.operator, time.layer, str(time.count), f"{time.mean_ms:.3f}", f"{time.share:.1%}"]
        for time in (*times, _sum(times, operator="all"))
    ]
    return markdown_table(COLUMNS, cells)


def _sum(times: Iterable[OperatorTime], *, operator: str) -> OperatorTime:
    figures = [(time.count, time.mean_ms, time.share) for time in times]
    count, mean_ms, share = map(sum, zip(*figures, strict=True))
    return OperatorTime(operator=operator, layer="", count=count, mean_ms=mean_ms, share=share)


def _read_operators(data: bytes) -> Operators:
    """Operator and layer of each node in order; a layer is what the node's output is called."""
    from ai_edge_litert import schema_py_generated as schema

    names = {value: name for name, value in vars(schema.BuiltinOperator).items()}
    try:
        model = schema.ModelT.InitFromPackedBuf(data, 0)
        codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
        graph = model.subgraphs[0]
        (_,), (_,) = graph.inputs, graph.outputs
        outputs = [graph.tensors[node.outputs[0]].name.decode() for node in graph.operators]
        operators = [names[codes[node.opcodeIndex]] for node in graph.operators]
    except Exception as error:
        # Generated readers raise struct.error, IndexError, TypeError and more on broken bytes.
        raise EdgeMelanomaError(f"The model cannot be read as a .tflite file: {error}.") from error
    # Converters name a tensor `net/layer/operation;...`.
    layers = [output.split(";")[0].split("/")[-2:][0] for output in outputs]
    return list(zip(operators, layers, strict=True))


def _profile(data: bytes, runs: int, threads: int) -> str:
    """In a child process: the profiler's summary of some invocations."""
    with stderr_discarded():
        session = _Session(data, threads=threads)
        profiler = session.create("LiteRtCompiledModelGetProfiler", session.compiled)
        ends = [part for end in ("Input", "Output") for part in (ONE, session.fill_buffer(end))]
        for number in range(WARMUP + runs):
            if number == WARMUP:
                session.call("LiteRtStartProfiler", profiler)
            session.call("LiteRtRunCompiledModel", session.compiled, FIRST, *ends)
        session.call("LiteRtStopProfiler", profiler)
        summary = session.create("LiteRtGetProfileSummary", profiler, session.compiled)
    return ctypes.string_at(summary).decode()


class _Session:
    """A model in LiteRT's C interface; what that creates ends with the child process."""

    def __init__(self, data: bytes, *, threads: int) -> None:
        import ai_edge_litert

        paths = list(Path(ai_edge_litert.__path__[0]).glob("libLiteRt.*"))
        self._library = ctypes.CDLL(str(paths[0])) if paths else None
        self._environment = self.create("LiteRtCreateEnvironment", 0, None)
        self._data = data, ctypes.c_size_t(len(data))
        model = self.create("LiteRtCreateModelFromBuffer", self._environment, *self._data)
        self._keep = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda text: None)
        self._threading = b"num_threads = %d\n" % threads
        options = self.create("LiteRtCreateOptions")
        self.call("LiteRtSetOptionsHardwareAccelerators", options, CPU)
        for name, text in ((b"runtime_options_string", PROFILING), (b"xnnpack", self._threading)):
            option = self.create("LiteRtCreateOpaqueOptions", name, text, self._keep)
            self.call("LiteRtAddOpaqueOptions", options, option)
        self.compiled = self.create("LiteRtCreateCompiledModel", self._environment, model, options)
        self._graph = self.create("LiteRtGetModelSubgraph", model, FIRST)

    def call(self, name: str, *arguments: Any) -> None:
        function = getattr(self._library, name, None)
        if function is None:
            raise EdgeMelanomaError(f"LiteRT's profiler is not there: {name} is missing; {REMEDY}")
        if status := function(*arguments):
            raise EdgeMelanomaError(f"LiteRT does not profile this model: {name} gives {status}.")

    def create(self, name: str, *arguments: Any) -> ctypes.c_void_p:
        handle = ctypes.c_void_p()
        self.call(name, *arguments, ctypes.byref(handle))
        return handle

    def fill_buffer(self, end: str) -> Any:
        """A pointer to the memory of the model's `Input` or `Output`, filled with a grey."""
        tensor = self.create(f"LiteRtGetSubgraph{end}", self._graph, FIRST)
        kind = ctypes.create_string_buffer(TENSOR_TYPE_BYTES)
        self.call("LiteRtGetRankedTensorType", tensor, kind)
        creator = "LiteRtCreateManagedTensorBufferFromRequirements"
        getter = f"LiteRtGetCompiledModel{end}BufferRequirements"
        needs = self.create(getter, self.compiled, FIRST, FIRST)
        buffer = self.create(creator, self._environment, kind, needs)
        size, address = ctypes.c_size_t(), ctypes.c_void_p()
        self.call("LiteRtGetTensorBufferPackedSize", buffer, ctypes.byref(size))
        self.call("LiteRtLockTensorBuffer", buffer, ctypes.byref(address), WRITE)
        ctypes.memset(address, GREY, size.value)
        self.call("LiteRtUnlockTensorBuffer", buffer)
        return ctypes.pointer(buffer)


def _read_summary(summary: str, operators: Operators, *, runs: int) -> list[OperatorTime]:
    """The rows of the first table, in the order of the run.

    Its shares have more digits than its milliseconds, so a time is its share of the total.
    """
    rows = list(SUMMARY_ROW.finditer(summary.partition("Top by Computation Time")[0]))
    total = SUMMARY_TOTAL.search(summary)
    if not rows or total is None:
        raise EdgeMelanomaError(f"LiteRT's profile cannot be read; {REMEDY}")
    percent_ms = int(total[1]) / runs / 1000 / 100
    return [
        OperatorTime(
            operator=row["operator"],
            layer=layer,
            count=int(row["called"]) // runs,
            mean_ms=float(row["percent"]) * percent_ms,
            share=float(row["percent"]) / 100,
        )
        for row, layer in zip(rows, _find_layers(rows, operators), strict=True)
    ]


def _find_layers(rows: list[re.Match[str]], operators: Operators) -> list[str]:
    """The layer of each row: XNNPACK runs the graph's operators in order, with some of its own.

    Empty for those, and for all of XNNPACK's if the graph is not delegated in one piece.
    """
    built_in = {int(row["index"]) for row in rows if row["place"] == "Builtin"}
    left = [
        (XNNPACK_NAMES.get(name, (name.replace("_", " ").title(),)), layer)
        for index, (name, layer) in enumerate(operators)
        if index not in built_in and name != "DEQUANTIZE"  # of weights: done when it is loaded
    ]
    layers = {f"Builtin{index}": operators[index][1] for index in built_in}
    delegated = {}
    for row in rows:
        if row["place"] == "Delegate" and left and row["operator"].startswith(left[0][0]):
            delegated[f"Delegate{row['index']}"] = left.pop(0)[1]
    layers |= {} if left else delegated
    return [layers.get(row["place"] + row["index"], "") for row in rows]


def main() -> None:
    """Print the operators by kind and one by one, or one by one as JSON."""
    parser = argparse.ArgumentParser(description="Time each operator of a .tflite model.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        times = measure_op_times(options.model, runs=options.runs, threads=options.threads)
    except EdgeMelanomaError as error:
        print(f"op_times: {error}", file=sys.stderr)
        sys.exit(2)
    if options.json:
        print(json.dumps([asdict(time) for time in times], indent=2))
    else:
        print(*render_op_times(sum_by_operator(times)), "", *render_op_times(times), sep="\n")


if __name__ == "__main__":
    main()
