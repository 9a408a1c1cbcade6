"""Holds a .tflite file against what a lesion classifier can be, before any interpreter sees it.

Operators, tensors, constants and shapes are read by the reader that comes with the schema, which
follows whatever it finds: so it reads in a child process with a limit of memory and of time. What
passes may still be a poor model; it is none that leads an interpreter into much memory.
"""

import math
from typing import Any

import numpy as np

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.machine.processes import limit_memory, run_limited
from edge_melanoma.tflite import operators
from edge_melanoma.tflite.operators import BrokenModelError, names_of

FILE_IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
VERIFICATION_SECONDS = 18.0
LARGEST_TENSOR_BYTES = 64 * 2**20
LARGEST_GRAPH_BYTES = 512 * 2**20
"""Of all tensors together. MobileNetV2 in float32 has 46 MB, a hundred times less alive at once."""

LARGEST_RANK = 6
LARGEST_TABLE_COUNT = 100_000
"""A file of ten bytes a table could name each of them a million times."""

SUPPORTED_TYPES = "FLOAT32 FLOAT16 INT32 UINT8 INT64 BOOL INT16 INT8"
BYTES_OF_TYPE = {kind: np.dtype(kind.lower()).itemsize for kind in SUPPORTED_TYPES.split()}
ZERO_POINTS = {"INT8": (-128, 127), "UINT8": (0, 255)}
"""Other integers are symmetric."""

UNSUPPORTED = {
    "ModelT": ("externalBufferGroups", "externalBuffers"),
    "OperatorCodeT": ("customCode",),
    "TensorT": ("sparsity", "variantTensors", "externalBuffer", "isVariable"),
    "QuantizationParametersT": ("details",),
    "OperatorT": ("customOptions", "largeCustomOptionsSize", "builtinOptions2"),
}
"""Fields that lead out of the file, or to what no classifier of pictures is made of."""


def verify_model(data: bytes, *, name: str) -> None:
    """Refuse a file that is broken, or that is no network as lesion classifiers are.

    Raises:
        EdgeMelanomaError: the first thing that is wrong.
        ChildDiedError: reading it took too much memory or too long.
    """
    run_limited(_verify, data, name, what=f"The model {name}", seconds=VERIFICATION_SECONDS)


def _verify(data: bytes, name: str) -> None:
    limit_memory()
    try:
        check_model(data)
    except BrokenModelError as error:
        raise EdgeMelanomaError(
            f"{name} is not a .tflite file of a lesion classifier: it {error}; "
            f"export it again, or fetch it again."
        ) from error


def check_model(data: bytes) -> None:
    """The same in this process, whose memory and time a hostile file can take.

    Raises:
        BrokenModelError: the first thing that is wrong, as the end of a sentence.
    """
    model = _read(data)
    if model.version != SCHEMA_VERSION:
        raise BrokenModelError(f"has schema version {model.version}, not {SCHEMA_VERSION}")
    graphs = model.subgraphs or []
    if len(graphs) != 1:
        raise BrokenModelError(f"has {len(graphs)} graphs, not one")
    graph, buffers = graphs[0], model.buffers or []
    codes = [_operator_name(code) for code in model.operatorCodes or []]
    _refuse_unsupported(model)
    sizes = [_size_of(buffer) for buffer in buffers]
    needed = [_check_tensor(tensor, sizes) for tensor in graph.tensors or []]
    if sum(needed) > LARGEST_GRAPH_BYTES:
        raise BrokenModelError(f"needs more than {LARGEST_GRAPH_BYTES} bytes for its tensors")
    _check_graph(graph, sizes, codes)
    _check_names(model, graph)


def _read(data: bytes) -> Any:
    """The file as objects of the schema, each table once."""
    from ai_edge_litert import schema_py_generated as schema

    if data[4:8] != FILE_IDENTIFIER:
        raise BrokenModelError(f"does not bear the identifier {FILE_IDENTIFIER.decode()}")
    try:
        root = schema.Model.GetRootAs(data, 0)
        lengths = [root.OperatorCodesLength(), root.BuffersLength(), root.MetadataLength()]
        lengths += [root.SignatureDefsLength(), root.SubgraphsLength()]
        graph = root.Subgraphs(0) if root.SubgraphsLength() else None
        lengths += [graph.TensorsLength(), graph.OperatorsLength()] if graph else []
        if sum(lengths) > LARGEST_TABLE_COUNT:
            raise BrokenModelError(f"has more than {LARGEST_TABLE_COUNT} tables")
        return schema.ModelT.InitFromObj(root)
    except (BrokenModelError, MemoryError):
        raise
    except Exception as error:
        # Generated readers raise struct.error, IndexError, TypeError and more on broken bytes.
        raise BrokenModelError("points to bytes that it does not have") from error


def _refuse_unsupported(table: Any) -> None:
    kind = type(table).__name__
    for field in UNSUPPORTED[kind]:
        # Absent is none for tables and vectors, however short, and zero for numbers.
        if (value := getattr(table, field)) is not None and not (np.isscalar(value) and not value):
            raise BrokenModelError(f"uses {kind[:-1]}.{field}, which is not supported")


def _size_of(buffer: Any) -> int:
    # Offsets 0 and 1 both say that the data are here.
    if buffer.offset > 1 or buffer.size > 1:
        raise BrokenModelError("keeps weights outside of its flatbuffer")
    return 0 if buffer.data is None else len(buffer.data)


def _check_tensor(tensor: Any, buffer_sizes: list[int]) -> int:
    """How many bytes it takes."""
    _refuse_unsupported(tensor)
    kind, shape = names_of("TensorType").get(tensor.type), _integers(tensor.shape)
    if kind not in BYTES_OF_TYPE:
        raise BrokenModelError("has a tensor of a kind that is not supported")
    if len(shape) > LARGEST_RANK or any(side < 1 for side in shape):
        raise BrokenModelError(f"has a tensor of the shape {shape}")
    needed = math.prod(shape) * BYTES_OF_TYPE[kind]
    if needed > LARGEST_TENSOR_BYTES:
        raise BrokenModelError(f"has a tensor of {needed} bytes")
    if tensor.buffer >= len(buffer_sizes):
        raise BrokenModelError(f"has a tensor in the buffer {tensor.buffer}, which is not there")
    if (held := buffer_sizes[tensor.buffer]) not in {0, needed}:
        raise BrokenModelError(f"has a tensor of {needed} bytes with {held} bytes of data")
    if tensor.quantization is not None:
        _check_quantization(tensor.quantization, kind, shape)
    return needed


def _check_quantization(quantization: Any, kind: str, shape: list[int]) -> None:
    _refuse_unsupported(quantization)
    scales = np.atleast_1d(() if quantization.scale is None else quantization.scale)
    zeros = np.atleast_1d(() if quantization.zeroPoint is None else quantization.zeroPoint)
    if not len(scales):
        return
    axis = quantization.quantizedDimension
    channels = shape[axis] if 0 <= axis < len(shape) else 1
    if len(scales) not in {1, channels} or len(zeros) not in {0, 1, len(scales)}:
        raise BrokenModelError(
            f"has {len(scales)} scales and {len(zeros)} zero points for {channels} channels"
        )
    if not np.all(np.isfinite(scales)) or np.any(scales < 0) or (len(scales) == 1 and not scales):
        raise BrokenModelError("has a scale that is not a number above 0")
    low, high = ZERO_POINTS.get(kind, (0, 0))
    if np.any(zeros < low) or np.any(zeros > high):
        raise BrokenModelError(f"has a zero point that {kind} cannot hold")


def _operator_name(code: Any) -> str:
    _refuse_unsupported(code)
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    name = names_of("BuiltinOperator").get(number, f"number {number}")
    if name not in operators.OPTIONS_OF_OPERATOR:
        raise BrokenModelError(
            f"uses the operator {name}, which classifiers of pictures are not made of"
        )
    return name


def _check_graph(graph: Any, buffer_sizes: list[int], codes: list[str]) -> None:
    """Each operator takes what there is by then: an input, a constant, or what one before gave."""
    tensors = graph.tensors or []
    starts, ends = _integers(graph.inputs), _integers(graph.outputs)
    if any(not 0 <= index < len(tensors) for index in [*starts, *ends]):
        raise BrokenModelError("has an end at a tensor that is not there")
    known = {index for index, tensor in enumerate(tensors) if buffer_sizes[tensor.buffer]}
    known.update(starts)
    for operator in graph.operators or []:
        _refuse_unsupported(operator)
        if operator.opcodeIndex >= len(codes):
            raise BrokenModelError(
                f"uses the operator code {operator.opcodeIndex}, which is not there"
            )
        name = codes[operator.opcodeIndex]
        inputs, outputs = _integers(operator.inputs), _integers(operator.outputs)
        if not inputs or not outputs:
            raise BrokenModelError("has an operator without input or output")
        # -1 stands for an input that is left out.
        if any(index != -1 and index not in known for index in inputs):
            raise BrokenModelError("has an operator that takes what nothing gives")
        if any(not 0 <= index < len(tensors) or index in known for index in outputs):
            raise BrokenModelError("has an operator that gives what is there already, or nowhere")
        known.update(outputs)
        kind = names_of("BuiltinOptions").get(operator.builtinOptionsType)
        if kind not in {operators.OPTIONS_OF_OPERATOR[name], "NONE"}:
            raise BrokenModelError(f"has an operator {name} with {kind} in place of its options")
        shapes = [None if index == -1 else _integers(tensors[index].shape) for index in inputs]
        given = [_integers(tensors[index].shape) for index in outputs]
        operators.check_shapes(name, operator.builtinOptions, shapes, given)
    if not known.issuperset(ends):
        raise BrokenModelError("has an output that nothing gives")


def _check_names(model: Any, graph: Any) -> None:
    """What signatures and metadata point to."""
    ends = {*_integers(graph.inputs), *_integers(graph.outputs)}
    for signature in model.signatureDefs or []:
        named = [*(signature.inputs or []), *(signature.outputs or [])]
        if signature.subgraphIndex or any(end.tensorIndex not in ends for end in named):
            raise BrokenModelError("has a signature that names no end of the graph")
    if any(entry.buffer >= len(model.buffers or []) for entry in model.metadata or []):
        raise BrokenModelError("has metadata in a buffer that is not there")


def _integers(vector: Any) -> list[int]:
    return [] if vector is None else [int(value) for value in vector]
