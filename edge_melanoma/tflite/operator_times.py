"""Which operators of a .tflite file take the time: each is run alone, in a file of its own."""

import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.processes import run_limited, stderr_discarded
from edge_melanoma.tflite.inspection import operator_names, read_tables

RUNS = 10
LIMIT_SECONDS = 120.0
FILE_IDENTIFIER = b"TFL3"


def shares_of_time(data: bytes, *, name: str) -> dict[str, float]:
    """The share of CPU time, 0..1, that the operators of each kind take on one thread here.

    Timed by the default kernels, XNNPACK's where it has one, on zeros; what passes between two
    operators is not in it.

    Raises:
        EdgeMelanomaError: an operator cannot be run alone, or takes too long.
    """
    what = f"The model {name}"
    try:
        return run_limited(_measure, data, what=what, seconds=LIMIT_SECONDS)
    except EdgeMelanomaError:
        raise
    except Exception as error:
        # Of the interpreter, which refuses an operator, or of a reader of broken bytes.
        raise EdgeMelanomaError(f"{what} cannot be timed: {error}") from error


def _measure(data: bytes) -> dict[str, float]:
    model = read_tables(data)
    names, seconds = operator_names(model), defaultdict[str, float](float)
    alike: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    graph = model.subgraphs[0]
    for operator in graph.operators:
        used = [*operator.inputs, *operator.outputs]
        shapes = tuple(tuple(graph.tensors[i].shape) for i in used if i >= 0)
        alike[operator.opcodeIndex, shapes].append(operator)
    for operators in alike.values():
        kind = names[operators[0].opcodeIndex]
        inputs = [int(index) for index in operators[0].inputs if index >= 0]
        # What is made of constants alone is made once, when the file is loaded.
        is_run = any(_constant(model, index) is None for index in inputs)
        seconds[kind] += len(operators) * _time(_alone(model, operators[0])) if is_run else 0.0
    total = sum(seconds.values())
    return {kind: spent / total for kind, spent in seconds.items()}


def _alone(model: Any, operator: Any) -> bytes:
    """A file of this operator; what it takes from others is its input."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    graph = model.subgraphs[0]
    one, only = schema.ModelT(), schema.SubGraphT()
    one.version, one.operatorCodes, one.subgraphs = model.version, model.operatorCodes, [only]
    places: dict[int, int] = {}
    empty = schema.BufferT()
    one.buffers, only.tensors, only.inputs = [empty], [], []
    for index in dict.fromkeys(int(i) for i in (*operator.inputs, *operator.outputs) if i >= 0):
        tensor = graph.tensors[index]
        copy = schema.TensorT()
        vars(copy).update(vars(tensor))
        copy.buffer = 0
        places[index] = len(only.tensors)
        if (content := _constant(model, index)) is not None and index in operator.inputs:
            copy.buffer = len(one.buffers)
            one.buffers.append(content)
        elif index in operator.inputs:
            only.inputs.append(places[index])
        only.tensors.append(copy)
    moved = schema.OperatorT()
    vars(moved).update(vars(operator))
    moved.inputs = _moved(operator.inputs, places)
    moved.outputs = _moved(operator.outputs, places)
    only.operators, only.outputs = [moved], moved.outputs
    builder = flatbuffers.Builder(1024)
    builder.Finish(one.Pack(builder), FILE_IDENTIFIER)
    return bytes(builder.Output())


def _constant(model: Any, index: int) -> Any:
    """The buffer of a constant, zeros for one that is made of another, none for other tensors."""
    from ai_edge_litert import schema_py_generated as schema

    graph = model.subgraphs[0]
    tensor = graph.tensors[index]
    content = model.buffers[tensor.buffer]
    if content.data is not None and len(content.data):
        return content
    makers = [operator for operator in graph.operators if index in operator.outputs]
    if not makers or any(_constant(model, int(i)) is None for i in makers[0].inputs):
        return None
    zeros = schema.BufferT()
    zeros.data = np.zeros(4 * int(np.prod(tensor.shape)), np.uint8)
    return zeros


def _moved(indices: Any, places: Mapping[int, int]) -> list[int]:
    return [places[int(index)] if index >= 0 else -1 for index in indices]


def _time(data: bytes) -> float:
    """The least CPU seconds of some runs."""
    from ai_edge_litert.interpreter import Interpreter

    with stderr_discarded():
        interpreter = Interpreter(model_content=data, num_threads=1)
        interpreter.allocate_tensors()
    for end in interpreter.get_input_details():
        interpreter.set_tensor(end["index"], np.zeros(end["shape"], end["dtype"]))
    found = []
    for _ in range(RUNS):
        start = time.process_time()
        interpreter.invoke()
        found.append(time.process_time() - start)
    return min(found)
