"""Writes .tflite files: each distinct array and string once, and no bit of the outputs changed.

A model that has an entry for a seal is sealed: whoever changes a model packs it here again.
"""

import copy
import re
from itertools import chain, count
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edge_melanoma.errors import EdgeMelanomaError
from edge_melanoma.tflite.inspection import inspect_model, operator_names, read_tables
from edge_melanoma.tflite.metadata import SEAL_NAME, UNSTAMPED, stamp_seal
from edge_melanoma.tflite.quantization import GATE_NAME, MAP_NAME
from edge_melanoma.tflite.verification import FILE_IDENTIFIER

BUFFER_ALIGNMENT = 16
"""What the schema demands of a buffer's bytes; flatbuffers for Python forgets it for arrays."""

CONVERTER_METADATA = b"CONVERSION_METADATA"
KERNEL_LAYER = re.compile(r"([^/;]+)/(?:Conv2D|depthwise|MatMul)\d*(?:;|$)")
"""The layer with weights among those that the converter joined into one tensor's name."""

ROLES = ("", "/kernel", "/bias")
SIGN_SHIFT = 128
"""Between the zero points of int8 and uint8: to requantise is to turn the sign bit alone."""


def slim_model(data: bytes) -> bytes:
    """The same model with each distinct vector, string and constant written once.

    The converter writes eight zero bytes a channel for the zero points of every kernel and bias,
    tensor names of 100 letters and a buffer for each activation. The scales and zero points of
    biases stay: without them, or with one for all channels, XNNPACK does not take the layer. What
    is appended behind the flatbuffer, as a ZIP of labels, is not carried over.

    Raises:
        EdgeMelanomaError: it cannot be read, or keeps its weights outside of the flatbuffer.
    """
    try:
        model = read_tables(data)
        outside = any(buffer.offset > 1 for buffer in model.buffers)
        _shorten(model)
    except Exception as error:
        # Generated readers raise struct.error, IndexError, TypeError and more on broken bytes.
        raise EdgeMelanomaError(f"The model cannot be read as a .tflite file: {error}.") from error
    if outside:
        raise EdgeMelanomaError(
            "The model keeps its weights outside of the flatbuffer; expected them in its buffers."
        )
    return min(pack_model(model, size=len(data)), data, key=len)


def seal_model(data: bytes) -> bytes:
    """The same model with a hash of itself inside, and the same outputs."""
    model = read_tables(data)
    if all(entry.name != SEAL_NAME for entry in model.metadata or ()):
        add_metadata(model, SEAL_NAME, UNSTAMPED)
    return pack_model(model, size=len(data))


def add_metadata(model: Any, name: bytes, content: bytes) -> None:
    """Give a `ModelT` one more named buffer that no interpreter reads."""
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(content, np.uint8)
    entry.name, entry.buffer = name, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or ()), entry]


def put_score_first(data: bytes) -> bytes:
    """The same .tflite file with the score as its first output; a converter sorts them by name."""
    model = read_tables(data)
    names = {end.tensorIndex: end.name for end in model.signatureDefs[0].outputs}
    graph = model.subgraphs[0]
    graph.outputs = sorted(graph.outputs, key=lambda index: names[index] == MAP_NAME.encode())
    return pack_model(model, size=len(data))


def without_gate(data: bytes) -> bytes:
    """The same file with the score alone, for clients that insist on one output."""
    model = read_tables(data)
    graph = model.subgraphs[0]
    gates = [i for i in graph.outputs if graph.tensors[i].name == GATE_NAME.encode()]
    if not gates:
        return data
    graph.outputs = [index for index in graph.outputs if index not in gates]
    for signature in model.signatureDefs or ():
        signature.outputs = [end for end in signature.outputs if end.tensorIndex not in gates]
    needed, kept = set(map(int, graph.outputs)), []
    for operator in reversed(graph.operators):
        if needed.intersection(map(int, operator.outputs)):
            kept.append(operator)
            needed.update(map(int, operator.inputs))
    graph.operators = kept[::-1]
    # What a gate brought stands at the end of the tensors; buffers keep their numbers.
    needed |= set(map(int, graph.inputs))
    for tensor in graph.tensors[max(needed) + 1 :]:
        if tensor.buffer:
            model.buffers[tensor.buffer].data = None
    graph.tensors = graph.tensors[: max(needed) + 1]
    return pack_model(model, size=len(data))


def make_uint8_twin(data: bytes) -> bytes:
    """The same network for clients that refuse int8: raw RGB bytes in, P x 256 out.

    A step from uint8 stands before it and one to uint8 behind each output, made from the file
    alone, without a converter. Of the same picture it gives the int8 file's integers plus 128.

    Raises:
        EdgeMelanomaError: the file is not int8 in and out, or cannot be read.
    """
    facts = inspect_model(data)
    if (facts.input.dtype, facts.output.dtype) != ("int8", "int8"):
        raise EdgeMelanomaError(
            f"A uint8 twin is made of a file with int8 input and output; this one has "
            f"{facts.input.dtype} and {facts.output.dtype}."
        )
    model = read_tables(data)
    if "QUANTIZE" not in operator_names(model):
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.QUANTIZE
        model.operatorCodes.append(code)
    graph, code = model.subgraphs[0], operator_names(model).index("QUANTIZE")
    moved = {int(end): 0 for end in (*graph.inputs, *graph.outputs)}
    for end in moved:
        moved[end] = _add_uint8_end(graph, end)
    (image,), inner = graph.inputs, list(map(int, graph.outputs))
    graph.inputs, graph.outputs = [moved[int(image)]], [moved[end] for end in inner]
    graph.operators.insert(0, _quantize_step(code, moved[int(image)], image))
    # The score's step is the last operator, as it is in every file.
    for end in reversed(inner):
        graph.operators.append(_quantize_step(code, end, moved[end]))
    for signature in model.signatureDefs or ():
        for end in [*signature.inputs, *signature.outputs]:
            end.tensorIndex = moved.get(end.tensorIndex, end.tensorIndex)
    return pack_model(model, size=len(data))


def pack_model(model: Any, *, size: int) -> bytes:
    """The bytes of a `ModelT`; the same objects give the same bytes. `size` is about theirs."""
    builder = _SharingBuilder(size)
    builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
    return stamp_seal(bytes(builder.Output()))


class _SharingBuilder(flatbuffers.Builder):  # type: ignore[misc] # it has no types
    """A builder that gives equal arrays and strings the same place."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._places: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: NDArray[Any]) -> int:  # noqa: N802 - a name of flatbuffers
        key = (x.dtype.str, x.tobytes())
        if key not in self._places:
            if x.dtype == np.uint8:
                self.Prep(BUFFER_ALIGNMENT, x.nbytes)
            self._places[key] = super().CreateNumpyVector(x)
        return self._places[key]

    def CreateString(self, s: str | bytes, *rest: str) -> int:  # noqa: N802 - as above
        key = ("string", s if isinstance(s, bytes) else s.encode())
        if key not in self._places:
            self._places[key] = super().CreateString(s, *rest)
        return self._places[key]


def _add_uint8_end(graph: Any, index: int) -> int:
    """A uint8 tensor under the name of an int8 one, which gets another."""
    inner = graph.tensors[index]
    outer = copy.copy(inner)
    outer.quantization = copy.copy(inner.quantization)
    outer.type = schema.TensorType.UINT8
    outer.quantization.zeroPoint = inner.quantization.zeroPoint + SIGN_SHIFT
    inner.name = inner.name + b"/int8"
    graph.tensors.append(outer)
    return len(graph.tensors) - 1


def _quantize_step(code: int, source: int, target: int) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, [source], [target]
    operator.builtinOptionsType = schema.BuiltinOptions.QuantizeOptions
    operator.builtinOptions = schema.QuantizeOptionsT()
    return operator


def _shorten(model: Any) -> None:
    """Leave out what no interpreter reads, and name each tensor in a few letters."""
    model.description = None
    model.metadata = [m for m in model.metadata or () if m.name != CONVERTER_METADATA]
    _merge_buffers(model)
    for number, graph in enumerate(model.subgraphs):
        ends = signature_names(model, number)
        for tensor, name in zip(graph.tensors, _short_names(graph, ends), strict=True):
            tensor.name = name


def _merge_buffers(model: Any) -> None:
    """One buffer for all tensors without data, the first as ever, and one for equal data."""
    merged, numbers = [schema.BufferT()], {b"": 0}
    tensors = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    for user in [*tensors, *model.metadata]:
        buffer = model.buffers[user.buffer]
        content = b"" if buffer.data is None else bytes(buffer.data)
        if content not in numbers:
            numbers[content] = len(merged)
            merged.append(buffer)
        user.buffer = numbers[content]
    model.buffers = merged
    model.metadataBuffer = None


def signature_names(model: Any, graph_number: int) -> dict[int, str]:
    """What the signatures of one graph call its inputs and outputs."""
    signatures = [s for s in model.signatureDefs or () if s.subgraphIndex == graph_number]
    ends = chain.from_iterable((*signature.inputs, *signature.outputs) for signature in signatures)
    return {end.tensorIndex: end.name.decode() for end in ends}


def _short_names(graph: Any, ends: dict[int, str]) -> list[str]:
    """A name of each tensor, in order: its end's, its layer's or its layer's with its role."""
    wanted = dict(enumerate(_layer_of(tensor.name) for tensor in graph.tensors))
    wanted |= _constant_names(graph, ends)
    places: dict[str, int] = {}
    for index in sorted(wanted, key=lambda index: (index not in ends, index)):
        # A name that is taken gets a number behind it, as TensorFlow counts outputs.
        numbered = (f"{wanted[index]}:{number}" for number in count(1))
        free = next(name for name in chain([wanted[index]], numbered) if name not in places)
        places[free] = index
    return sorted(places, key=places.__getitem__)


def _constant_names(graph: Any, ends: dict[int, str]) -> dict[int, str]:
    """Names of weights, and of what is computed from weights alone, by who takes them.

    The buffers are merged: only what has no data has buffer 0.
    """
    constants = {index for index, tensor in enumerate(graph.tensors) if tensor.buffer}
    for operator in graph.operators:
        if constants.issuperset(operator.inputs):
            constants.update(operator.outputs)
    names = dict(ends)
    for operator in reversed(graph.operators):
        output = operator.outputs[0]
        layer = names.get(output) or _layer_of(graph.tensors[output].name)
        roles = ROLES if len(operator.inputs) == len(ROLES) else ("", "/constant")
        for position, index in enumerate(operator.inputs):
            if index in constants:
                names[index] = layer + (roles[position] if position < len(roles) else "")
    return names


def _layer_of(name: bytes | None) -> str:
    """The tf_keras layer in a name such as `net/block_1_relu/Relu6;net/block_1/Conv2D1`."""
    text = (name or b"tensor").decode()
    if found := KERNEL_LAYER.search(text):
        return found[1]
    parts = text.split(";")[0].split(":")[0].split("/")
    return parts[-2] if len(parts) > 1 else parts[0]
